# What this was written for, and where its state is: a storage account of its own, made by state/.
terraform {
  required_version = ">= 1.11" # write-only arguments, which keep passwords out of the state
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.55, < 5.0"
    }
    azuread = {
      source  = "hashicorp/azuread"
      version = ">= 3.7, < 4.0"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7, < 4.0"
    }
  }
  backend "azurerm" {
    container_name   = "state"
    key              = "project.tfstate"
    use_azuread_auth = true # as who is logged in: the account takes no key
  }
}

provider "azurerm" {
  subscription_id                 = var.subscription
  storage_use_azuread             = true
  resource_provider_registrations = "none"
  resource_providers_to_register = [
    "Microsoft.App", "Microsoft.Consumption", "Microsoft.ContainerRegistry", "Microsoft.DBforPostgreSQL",
    "Microsoft.Insights", "Microsoft.KeyVault", "Microsoft.ManagedIdentity", "Microsoft.Network",
    "Microsoft.OperationalInsights", "Microsoft.Storage",
  ]
  features {
    key_vault {
      # Its protection forbids it; the same vault comes back when all of this is applied again.
      purge_soft_delete_on_destroy          = false
      purge_soft_deleted_secrets_on_destroy = false
    }
    log_analytics_workspace {
      permanently_delete_on_destroy = !var.protect
    }
    template_deployment {
      delete_nested_items_during_deletion = false # they go with the app that they are part of
    }
  }
}

data "azurerm_client_config" "here" {}

locals {
  name = trim(substr(replace(var.project, "/_+/", "-"), 0, 24), "-")
  # Where a name must be Azure's only one, and takes letters and digits alone.
  tail  = substr(sha256("${var.subscription}/${var.project}"), 0, 8)
  plain = "${substr(replace(var.project, "_", ""), 0, 14)}${local.tail}"

  environments = toset(["staging", "production"])
  # An app of Container Apps needs an image from its first day: without MLflow's there are none (README).
  image = var.mlflow_image == null ? null : "${azurerm_container_registry.images.login_server}/mlflow:${var.mlflow_image}"
  apps  = var.mlflow_image == null ? toset([]) : local.environments
  doors = var.mlflow_image == null ? toset([]) : toset(["promoter", "trainer"])
}

resource "azurerm_resource_group" "this" {
  name     = local.name
  location = var.region
}
