# The bucket that holds Terraform's state of everything else; its own state is a file beside this one, which may get
# lost: the bucket is found again by `terraform import module.state.aws_s3_bucket.this NAME`.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100" # with which it was tried
    }
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
}

variable "protect" {
  description = "Refuse to destroy it while it holds a state."
  type        = bool
  default     = true
}

provider "aws" {
  region = var.region
}

module "state" {
  source  = "../bucket"
  name    = var.bucket
  protect = var.protect
}
