# Of this project; `terraform plan` asks for what is not here.
project = "{{ cookiecutter.project_slug }}"
# github_repository = "OWNER/NAME"
# region            = "eu-central-1"
# email             = "team@example.org"
# budget            = 250
