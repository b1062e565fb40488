# A bucket as all of ours are: versioned, encrypted, private. Google takes no call that bears a token but over TLS.
terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

variable "name" {
  description = "Its name, which no other bucket in the world may have."
  type        = string
}

variable "location" {
  description = "The region that it is in."
  type        = string
}

variable "protect" {
  description = "Refuse to destroy it while anything is in it."
  type        = bool
}

variable "keep_days" {
  description = "Days until what is in it goes; null keeps it."
  type        = number
  default     = null
}

resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:who read and wrote is for the project's audit logs, where it wants them; a log bucket would need one itself
  name                        = var.name
  location                    = var.location
  uniform_bucket_level_access = true # who may what is said by roles alone
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect
  versioning {
    enabled = true
  }
  # Google's second way to keep what was deleted: the versions are the one that we go back to.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
    }
  }
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }
  dynamic "lifecycle_rule" {
    for_each = var.keep_days[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        age        = lifecycle_rule.value
        with_state = "LIVE"
      }
    }
  }
}

output "name" {
  description = "The bucket's name."
  value       = google_storage_bucket.this.name
}
