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

variable "github_oidc_provider" {
  description = "ARN of the account's identity provider for GitHub; null makes one. An account can have one only."
  type        = string
  default     = null
  validation {
    condition = var.github_oidc_provider == null || can(
      regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider)
    )
    error_message = "github_oidc_provider must be arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com, or null."
  }
}

variable "region" {
  description = "Where all of it is."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region's name, as eu-central-1."
  }
}

variable "zones" {
  description = "Letters of two of the region's zones, in which API Gateway has VPC links; written down, so that one that AWS adds moves nothing."
  type        = list(string)
  default     = ["a", "b"]
  validation {
    condition     = length(distinct(var.zones)) == 2 && alltrue([for one in var.zones : can(regex("^[a-z]$", one))])
    error_message = "zones must be two different letters, as [\"a\", \"b\"]."
  }
}

variable "email" {
  description = "Who is told of alarms and of the budget; AWS asks that address first."
  type        = string
  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.email))
    error_message = "email must be an address, as team@example.org."
  }
}

variable "budget" {
  description = "US dollars a month; told at 80 % of it, and once the month is forecast to pass it."
  type        = number
  validation {
    condition     = var.budget > 0
    error_message = "budget must be more than 0 US dollars a month."
  }
}

variable "mlflow_image" {
  description = "Tag of MLflow's image in the repository made here; null until it was pushed (README)."
  type        = string
  default     = null
  validation {
    condition     = var.mlflow_image == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.mlflow_image))
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
