# A storage account as all of ours are: versioned, encrypted, private, over TLS only, and without a key.
terraform {
  required_providers {
    azurerm = { source = "hashicorp/azurerm" }
  }
}

variable "name" {
  description = "Its name, which no other account of Azure may have."
  type        = string
}

variable "resource_group" {
  description = "Where it belongs."
  type        = string
}

variable "region" {
  description = "Where it is."
  type        = string
}

variable "containers" {
  description = "What is in it, and the days until that goes; 0 keeps it."
  type        = map(number)
}

variable "protect" {
  description = "Refuse to destroy it."
  type        = bool
}

resource "azurerm_storage_account" "this" {
  #checkov:skip=CKV_AZURE_33:nothing is put into its queues, and without a key nobody can
  #checkov:skip=CKV_AZURE_59:workflows of GitHub come from any address; who gets in is Entra's decision
  #checkov:skip=CKV_AZURE_206:one region, in three zones: another one's copy is for who must outlive a region
  #checkov:skip=CKV2_AZURE_1:encrypted with Azure's own key: a key of ours adds a vault to run and no reader less
  #checkov:skip=CKV2_AZURE_33:workflows of GitHub are in no network of ours
  #checkov:skip=CKV2_AZURE_41:it takes no signature, since that needs a key
  name                            = var.name
  resource_group_name             = var.resource_group
  location                        = var.region
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  https_traffic_only_enabled      = true
  min_tls_version                 = "TLS1_2"
  shared_access_key_enabled       = false
  local_user_enabled              = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  blob_properties {
    versioning_enabled = true
    delete_retention_policy {
      days = 30
    }
    container_delete_retention_policy {
      days = 30
    }
  }
}

resource "azurerm_storage_container" "this" {
  #checkov:skip=CKV2_AZURE_21:who read and wrote is told by a diagnostic setting, where the subscription wants it
  for_each              = var.containers
  name                  = each.key
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "this" {
  storage_account_id = azurerm_storage_account.this.id
  rule {
    name    = "old-versions"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = 30
      }
    }
  }
  dynamic "rule" {
    for_each = { for name, days in var.containers : name => days if days > 0 }
    content {
      name    = "retention-${rule.key}"
      enabled = true
      filters {
        blob_types   = ["blockBlob"]
        prefix_match = ["${rule.key}/"]
      }
      actions {
        base_blob {
          delete_after_days_since_modification_greater_than = rule.value
        }
      }
    }
  }
}

# Azure deletes an account with all that is in it. This goes first, and while it refuses, the account stays.
resource "terraform_data" "protect" {
  input = var.protect
  provisioner "local-exec" {
    when    = destroy
    command = self.input ? "echo It holds data: apply protect=false first. && exit 1" : "exit 0"
  }
  depends_on = [azurerm_storage_container.this]
}

output "name" {
  description = "The account's name."
  value       = azurerm_storage_account.this.name
}

output "containers" {
  description = "The id of each container, for a role that is good for it alone."
  value       = { for name, one in azurerm_storage_container.this : name => one.id }
}
