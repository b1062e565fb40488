# Of this project; `terraform plan` asks for what is not here.
project = "{{ cookiecutter.project_slug }}"
# github_subject  = "repo:OWNER@1/NAME@2"
# google_project  = "my-team-123456"
# billing_account = "01AB23-45CD67-89EF01"
# region          = "europe-west3"
# email           = "team@example.org"
# budget          = 200
