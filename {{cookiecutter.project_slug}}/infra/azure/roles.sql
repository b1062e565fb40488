-- What PostgreSQL lets the role `trainer` do, which the trainer's MLflow logs in with: everything but to move `champion`
-- and `previous`, and to change the versions behind them. The promoter's MLflow owns the tables, and is not asked.
-- Run after that one has started, again and again; the setting `roles.trainer` holds the password.
do $$
begin
  if not exists (select from pg_roles where rolname = 'trainer') then
    create role trainer login;
  end if;
  execute format('alter role trainer password %L', current_setting('roles.trainer'));
end
$$;

grant usage on schema public to trainer;
grant select, insert, update, delete on all tables in schema public to trainer;
grant usage on all sequences in schema public to trainer;

create or replace function in_production(entry jsonb) returns boolean stable
return case when entry ? 'alias' then entry ->> 'alias' in ('champion', 'previous')
       else exists (select from registered_model_aliases where alias in ('champion', 'previous')
                    and name = entry ->> 'name' and version = (entry ->> 'version')::integer) end;

-- A trigger, not a policy on rows: what a policy hides from a `delete` is no error, and MLflow would say that it is done.
-- By who logged in: what goes with a model that is deleted or renamed goes by the right of the table's owner.
create or replace function keep_production() returns trigger language plpgsql as $$
begin
  if session_user = 'trainer' and (in_production(to_jsonb(old)) or in_production(to_jsonb(new))) then
    raise insufficient_privilege using message = 'only the promoter changes what is in production';
  end if;
  return coalesce(new, old);
end
$$;

create or replace trigger keep_production before insert or update or delete on registered_model_aliases
  for each row execute function keep_production();
create or replace trigger keep_production before insert or update or delete on model_versions
  for each row execute function keep_production();
create or replace trigger keep_production before insert or update or delete on model_version_tags
  for each row execute function keep_production();
