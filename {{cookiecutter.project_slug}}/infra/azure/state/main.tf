# The account that holds Terraform's state of everything else; its own state is a file beside this one, which may get
# lost: the account is found again by `terraform import module.state.azurerm_storage_account.this ID`.
terraform {
  required_version = ">= 1.11"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.55, < 5.0"
    }
  }
}

variable "subscription" {
  description = "Id of the subscription."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription))
    error_message = "subscription must be its id in lower case, as `az account show --query id` prints it."
  }
}

variable "account" {
  description = "A name that no other storage account of Azure has."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.account))
    error_message = "account must be 3 to 24 of a-z and 0-9."
  }
}

variable "region" {
  description = "Where the account is."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+[a-z0-9]*$", var.region))
    error_message = "region must be a region's short name, as westeurope."
  }
}

variable "protect" {
  description = "Refuse to destroy it."
  type        = bool
  default     = true
  validation {
    condition     = var.protect != null
    error_message = "protect must be true or false."
  }
}

provider "azurerm" {
  subscription_id                 = var.subscription
  storage_use_azuread             = true
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.Storage"]
  features {}
}

data "azurerm_client_config" "here" {}

resource "azurerm_resource_group" "state" {
  name     = var.account
  location = var.region
}

module "state" {
  source         = "../storage"
  name           = var.account
  resource_group = azurerm_resource_group.state.name
  region         = var.region
  containers     = { state = 0 }
  protect        = var.protect
}

# An owner of the subscription may make the account, and still not read what is in it.
resource "azurerm_role_assignment" "me" {
  scope                = module.state.containers["state"]
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = data.azurerm_client_config.here.object_id
}
