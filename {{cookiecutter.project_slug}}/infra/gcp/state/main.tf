# The bucket that holds Terraform's state of everything else; its own state is a file beside this one, which may get
# lost: the bucket is found again by `terraform import module.state.google_storage_bucket.this NAME`.
terraform {
  required_version = ">= 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.6, < 8.0"
    }
  }
}

variable "google_project" {
  description = "ID of the project on Google Cloud."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.google_project))
    error_message = "google_project must be a project's ID, as my-team-123456: neither its name nor its number."
  }
}

variable "bucket" {
  description = "A name that no other bucket in the world has."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 of a-z, 0-9 and -, with no - at either end."
  }
}

variable "region" {
  description = "Where the bucket is."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region's name, as europe-west3."
  }
}

variable "protect" {
  description = "Refuse to destroy it while it holds a state."
  type        = bool
  default     = true
}

provider "google" {
  project = var.google_project
  region  = var.region
}

module "state" {
  source   = "../bucket"
  name     = var.bucket
  location = var.region
  protect  = var.protect
}
