variable "project" {
  description = "The project's slug: what is made here begins with it."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{1,38}[a-z0-9]$", var.project))
    error_message = "project must be the slug: 3 to 40 of a-z, 0-9 and _, a letter first, no _ at the end."
  }
}

variable "github_subject" {
  description = "What GitHub's tokens call the repository (README): only its workflows may log in here."
  type        = string
  validation {
    condition     = can(regex("^repo:[A-Za-z0-9_-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$", var.github_subject))
    error_message = "github_subject must be repo:OWNER@1/NAME@2, as GitHub's API says it, or repo:OWNER/NAME, as it was before July 2026."
  }
}

variable "google_project" {
  description = "ID of the project on Google Cloud that all of it is made in; best one that holds nothing else."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.google_project))
    error_message = "google_project must be a project's ID, as my-team-123456: neither its name nor its number."
  }
}

variable "billing_account" {
  description = "What pays for that project: the budget belongs to it."
  type        = string
  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be an ID as 01AB23-45CD67-89EF01: `gcloud billing accounts list` shows it."
  }
}

variable "region" {
  description = "Where all of it is."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region's name, as europe-west3."
  }
}

variable "email" {
  description = "Who is told of alarms and of the budget."
  type        = string
  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.email))
    error_message = "email must be an address, as team@example.org."
  }
}

variable "budget" {
  description = "A month, in the billing account's currency; told at 80 % of it, and once the month is forecast to pass it."
  type        = number
  validation {
    condition     = var.budget >= 1 && floor(var.budget) == var.budget
    error_message = "budget must be a whole number a month, 1 or more."
  }
}

variable "mlflow_image" {
  description = "Tag of MLflow's image in the repository made here; null until it was pushed (README)."
  type        = string
  default     = null
  validation {
    condition     = var.mlflow_image == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.mlflow_image))
    error_message = "mlflow_image must be a tag alone, as 3.17.2, or null."
  }
}

variable "most_servers" {
  description = "How many servers production may run at once."
  type        = number
  default     = 4
  validation {
    condition     = var.most_servers >= 1 && floor(var.most_servers) == var.most_servers
    error_message = "most_servers must be a whole number, 1 or more."
  }
}

variable "keep_days" {
  description = "Days that predictions are kept; as serve.log.keep_days in params.yaml."
  type        = number
  default     = 90
  validation {
    condition     = var.keep_days >= 1 && floor(var.keep_days) == var.keep_days
    error_message = "keep_days must be a whole number of days, 1 or more."
  }
}

variable "protect" {
  description = "Refuse to destroy what holds data; false lets `destroy` take all of it."
  type        = bool
  default     = true
  validation {
    condition     = var.protect != null
    error_message = "protect must be true or false."
  }
}
