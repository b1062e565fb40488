# Who may do what. Workflows on GitHub log in without a secret, each job as what it is: what a job's token says of it
# (branch, pull request, environment) decides, and no job can say it of itself.
locals {
  # What GitHub writes into the token of a job, by the role that it opens.
  opens = {
    reader   = "assertion.sub == '${var.github_subject}:pull_request' || assertion.sub.startsWith('${var.github_subject}:ref:refs/heads/')"
    trainer  = "assertion.sub in ['${var.github_subject}:ref:refs/heads/main', '${var.github_subject}:ref:refs/heads/master']"
    promoter = "assertion.sub == '${var.github_subject}:environment:registry'"
    deployer = "assertion.sub in ['${var.github_subject}:environment:staging', '${var.github_subject}:environment:production']"
  }
  accounts = merge({ for role in keys(local.opens) : role => "a workflow's ${role}" }, {
    staging     = "the server of staging"
    production  = "the server of production"
    ml-promoter = "the promoter's MLflow"
    ml-trainer  = "the trainer's MLflow"
  })
  member = { for name, account in google_service_account.this : name => "serviceAccount:${account.email}" }
}

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "github-${local.name}" # no name may begin with gcp-
  display_name              = "Workflows on GitHub"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:each part of the condition is on `sub`, with this repository in it; checkov looks behind no name
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  # A job that opens no role is not let in at all.
  attribute_condition = join(" || ", [for when in values(local.opens) : "(${when})"])
  # The name that audit logs show: `sub` itself may be longer than the 127 characters that are allowed.
  attribute_mapping = merge(
    { "google.subject" = "assertion.repository_id + '/' + assertion.run_id" },
    { for role, when in local.opens : "attribute.${role}" => "(${when}) ? 'yes' : 'no'" },
  )
  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "this" {
  for_each     = local.accounts
  account_id   = "${local.name}-${each.key}"
  display_name = "${var.project}: ${each.value}"
}

resource "google_service_account_iam_member" "github" {
  for_each           = local.opens
  service_account_id = google_service_account.this[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.${each.key}/yes"
}

locals {
  reads  = "roles/storage.objectViewer"
  adds   = "roles/storage.objectCreator" # and replaces nothing
  writes = "roles/storage.objectUser"
  sees   = "roles/storage.legacyBucketReader" # the bucket itself, for which `gcloud storage rsync` asks first
  # A pull request's code nobody has read yet: data, and nothing else. The trainer trains and watches: data and models
  # in, runs and versions out, what was predicted. The promoter stands between training and production, the deployer
  # says which image runs. A server's model is in its image: it has its own log, of which it merges finished hours.
  buckets = {
    reader_data             = { who = "reader", role = local.reads, bucket = module.dvc.name }
    trainer_data            = { who = "trainer", role = local.reads, bucket = module.dvc.name }
    trainer_models          = { who = "trainer", role = local.adds, bucket = module.dvc.name }
    trainer_artefacts       = { who = "trainer", role = local.writes, bucket = module.mlflow.name }
    trainer_staging         = { who = "trainer", role = local.reads, bucket = module.predictions["staging"].name }
    trainer_production      = { who = "trainer", role = local.reads, bucket = module.predictions["production"].name }
    trainer_sees_staging    = { who = "trainer", role = local.sees, bucket = module.predictions["staging"].name }
    trainer_sees_production = { who = "trainer", role = local.sees, bucket = module.predictions["production"].name }
    promoter_artefacts      = { who = "promoter", role = local.reads, bucket = module.mlflow.name }
    promoter_accepted       = { who = "promoter", role = local.reads, bucket = module.accepted.name }
    deployer_accepted       = { who = "deployer", role = local.writes, bucket = module.accepted.name }
    staging_predicts        = { who = "staging", role = local.writes, bucket = module.predictions["staging"].name }
    production_predicts     = { who = "production", role = local.writes, bucket = module.predictions["production"].name }
  }
  secret_readers = {
    deployer_token    = { who = "deployer", secret = "token" } # for the smoke test
    staging_token     = { who = "staging", secret = "token" }
    production_token  = { who = "production", secret = "token" }
    staging_log       = { who = "staging", secret = "log-key" }
    production_log    = { who = "production", secret = "log-key" }
    promoter_password = { who = "ml-promoter", secret = "promoter" }
    trainer_password  = { who = "ml-trainer", secret = "trainer" }
    roles_password    = { who = "ml-promoter", secret = "trainer" } # the job gives it to the role
  }
}

resource "google_storage_bucket_iam_member" "may" {
  for_each = local.buckets
  bucket   = each.value.bucket
  role     = each.value.role
  member   = local.member[each.value.who]
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = local.secret_readers
  secret_id = google_secret_manager_secret.password[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member[each.value.who]
}

resource "google_artifact_registry_repository_iam_member" "images" {
  for_each   = { promoter = "roles/artifactregistry.writer", deployer = "roles/artifactregistry.reader" }
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = each.value
  member     = local.member[each.key]
}

# Each MLflow answers its own role alone.
resource "google_cloud_run_v2_service_iam_member" "mlflow" {
  for_each = google_cloud_run_v2_service.mlflow
  name     = each.value.name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.member[each.key]
}

resource "google_cloud_run_v2_service_iam_member" "deployer" {
  for_each = google_cloud_run_v2_service.server
  name     = each.value.name
  location = var.region
  role     = "roles/run.developer"
  member   = local.member["deployer"]
}

# Whoever waits for a roll-out asks for its operation, which belongs to the project and to no service.
resource "google_project_iam_custom_role" "waits" {
  role_id     = "${replace(local.name, "-", "_")}_waits"
  title       = "${var.project}: wait for a roll-out"
  permissions = ["run.operations.get"]
}

resource "google_project_iam_member" "deployer" {
  project = var.google_project
  role    = google_project_iam_custom_role.waits.id
  member  = local.member["deployer"]
}

# Without which nobody may roll out what runs as that account.
resource "google_service_account_iam_member" "deployer" {
  for_each           = local.environments
  service_account_id = google_service_account.this[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = local.member["deployer"]
}

# What the monitor found. Google knows no narrower right: with it go figures of any name in this project.
resource "google_project_iam_member" "trainer" {
  project = var.google_project
  role    = "roles/monitoring.metricWriter"
  member  = local.member["trainer"]
}
