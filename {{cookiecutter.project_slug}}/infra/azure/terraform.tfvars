# Of this project; `terraform plan` asks for what is not here.
project = "{{ cookiecutter.project_slug }}"
# github_subject = "repo:OWNER@1/NAME@2"
# subscription   = "00000000-0000-0000-0000-000000000000"
# region         = "westeurope"
# email          = "team@example.org"
# budget         = 350
