"""Refuse the answers that would break the generated project, in one sentence on stderr.

Cookiecutter renders this file with Jinja before it runs it: no Jinja tag may stand in it except the
one expression below. `cruft update` runs it twice, in temporary folders, so it only ever refuses.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import unicodedata
from typing import NoReturn

# Valid Python before rendering, and safe after it: tojson escapes single quotes, so only they can
# stand around it; a formatter would turn them into double ones.
ANSWERS = json.loads(r'{{cookiecutter | tojson}}')  # fmt: skip

CLOUDS = ("local", "aws", "gcp", "azure")
# Three underscores in a row make no name of a container's image.
SLUG = r"(?!.*___)[a-z][a-z0-9_]{1,38}[a-z0-9]"

# Answers land inside double-quoted strings of YAML, TOML and Python: these four would end the
# string, escape in it, or start a Jinja, DVC or format expression.
BREAKING = '"\\{}'
# Format characters that whole alphabets and emoji are spelled with.
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"

# Folders and files of the generated project that a package of the same name would run into.
FOLDERS = """
    conftest data demo docs infra model monitoring notebooks noxfile reports test tests
"""

# The standard library as other Python versions know it: modules added or removed since 3.10.
OTHER_STDLIB = """
    annotationlib asynchat asyncore binhex compression distutils formatter imp parser smtpd symbol
    tomllib zoneinfo
"""

# Every top-level module that requirements.lock installs; tests/test_hooks.py compares.
LOCKED = """
    adbc_driver_duckdb adlfs aiobotocore aiohappyeyeballs aiohttp aiohttp_retry
    aioitertools aiosignal alembic amqp annotated_doc annotated_types antlr4 anyio
    appdirs argcomplete arrow ast_serialize asyncssh attr attrs azure billiard
    blinker boolean boto3 botocore cachetools celery certifi cffi cfgv chardet
    charset_normalizer check_jsonschema click click_didyoumean click_plugins
    click_repl cloudpickle colorama colorlog configobj contourpy coverage
    cryptography cycler cyclonedx cyclonedx_py databricks dateutil decorator
    defusedxml dependency_groups dictdiffer diskcache distlib distro docker dotenv
    dpath duckdb dulwich dvc dvc_azure dvc_data dvc_gs dvc_http dvc_objects
    dvc_render dvc_s3 dvc_studio_client dvc_task ecs_logging entrypoints execnet
    fastapi fastapi_offline filelock flask flask_cors flatten_dict flufl fonttools
    fqdn frozenlist fsspec funcy gcsfs git gitdb google google_auth_oauthlib
    google_crc32c grandalf graphene graphql graphql_relay grpc grpc_status gto
    gunicorn h11 httptools huey humanize hydra identify idna importlib_metadata
    iniconfig isapi isodate isoduration iterative_telemetry itsdangerous jinja2
    jmespath joblib jsonpointer jsonschema jsonschema_specifications jwt kiwisolver
    knack kombu lark librt license_expression lxml mako markdown_it markupsafe
    matplotlib mdurl mlflow mpl_toolkits msal msal_extensions multidict mypy
    mypy_extensions mypyc narwhals networkx nodeenv nox numpy oauthlib omegaconf
    opentelemetry orjson packageurl packaging packaging_legacy_version pandas
    pandera pathspec pil pip_requirements_parser platformdirs pluggy pre_commit
    pre_commit_hooks prettytable prometheus_client prompt_toolkit propcache proto
    psutil psycopg psycopg_binary public py_serializable pyarrow pyasn1
    pyasn1_modules pycparser pydantic pydantic_core pydantic_settings pydevd_plugins
    pydot pygit2 pygments pygtrie pylab pyparsing pytest pytest_cov python_discovery
    pythoncom pythonwin pywintypes referencing regress requests
    requests_auth_aws_sigv4 requests_oauthlib rfc3339_validator rfc3986_validator
    rfc3987_syntax rich rpds ruamel ruff s3fs s3transfer scipy scmrepo semver
    setuptools shortuuid shtab six sklearn skops smmap sortedcontainers sqlalchemy
    sqlparse sqltrie starlette tabulate threadpoolctl tomlkit tqdm typeguard
    typing_extensions typing_inspect typing_inspection tzdata tzlocal uri_template
    urllib3 uvicorn uvloop validate vine virtualenv voluptuous waitress wcwidth
    webcolors werkzeug win32 win32com win32comext wrapt xdist yaml yarl zipp
"""


def refuse(sentence: str) -> NoReturn:
    """End the generation: one sentence first on stderr, exit code 1."""
    sys.exit(sentence)


def is_printable(character: str) -> bool:
    """Say whether a character can be seen, or is a space or a joiner of visible ones."""
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def check_text(answer: str, text: str) -> None:
    """Refuse a text that would break the files it is written into."""
    for character in text:
        if character in BREAKING:
            refuse(
                f"{answer} contains {character} and would break the files it is written into:"
                " leave out double quotes, backslashes and braces."
            )
        if not is_printable(character):
            refuse(
                f"{answer} contains U+{ord(character):04X}, an unprintable character:"
                " write it on one line, in visible characters."
            )
    if text != text.strip():
        refuse(f"{answer} starts or ends with a space: leave the outer spaces out.")


def taken() -> dict[str, str]:
    """Return the names a package cannot have, each with what it is the name of."""
    names = dict.fromkeys(LOCKED.split(), "a library the project installs")
    names |= dict.fromkeys(FOLDERS.split(), "a folder or file of the project")
    stdlib = [name.lower() for name in sys.stdlib_module_names] + OTHER_STDLIB.split()
    names |= dict.fromkeys(stdlib, "a module of the standard library")
    return names | dict.fromkeys([*keyword.kwlist, *keyword.softkwlist], "a Python keyword")


def check_slug(slug: str) -> None:
    """Refuse a slug that is no package name, or is the name of something else."""
    if not re.fullmatch(SLUG, slug):
        refuse(
            f"project_slug is {slug!r}, which is no package name: give 3 to 40 characters out of"
            " a-z, 0-9 and _, starting with a letter, not ending with _, and with no ___ in it."
        )
    owner = taken().get(slug)
    if owner:
        refuse(f"project_slug is {slug!r}, the name of {owner}: give another one, such as {slug[:32]}_project.")


def main() -> None:
    """Check every answer; return silently when all of them are good."""
    answers = {name: str(value) for name, value in ANSWERS.items() if not name.startswith("_")}
    if not answers["project_name"].strip():
        refuse("project_name is empty: give the project a name.")
    for name, value in answers.items():
        check_text(name, value)
    check_slug(answers["project_slug"])
    if answers["cloud"] not in CLOUDS:
        refuse(f"cloud is {answers['cloud']!r}, which is unknown: choose {' or '.join(CLOUDS)}.")


if __name__ == "__main__":
    main()
