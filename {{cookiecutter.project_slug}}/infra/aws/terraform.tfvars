# Of this project; `terraform plan` asks for what is not here.
project = "{{ cookiecutter.project_slug }}"
# github_subject = "repo:OWNER@1/NAME@2"
# region         = "eu-central-1"
# email          = "team@example.org"
# budget         = 250
