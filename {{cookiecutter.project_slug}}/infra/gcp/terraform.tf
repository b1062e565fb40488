# What this was written for, and where its state is: a bucket of its own, made by state/.
terraform {
  required_version = ">= 1.11" # write-only arguments, which keep passwords out of the state
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.6, < 8.0" # mount_options of a bucket (service.tf)
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7, < 4.0" # passwords that nobody writes down (mlflow.tf)
    }
  }
  backend "gcs" {
    prefix = "infra"
  }
}

provider "google" {
  project = var.google_project
  region  = var.region
  # Whoever applies this may be a person, for whom the API of budgets asks which project calls it.
  user_project_override = true
  billing_project       = var.google_project
  default_labels        = { project = var.project }
}

data "google_project" "here" {}

locals {
  number = data.google_project.here.number
  # Google's names take no underscore; that of an account takes 30 characters, ours included.
  name         = trim(substr(replace(var.project, "/_+/", "-"), 0, 18), "-")
  environments = toset(["staging", "production"])
  servers      = toset(["promoter", "trainer"]) # of MLflow, each with a role of its own in the database
}
