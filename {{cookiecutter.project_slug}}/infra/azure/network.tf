# Two subnets: what runs, which the doors of Container Apps lead into, and the database, which only what runs reaches.
resource "azurerm_virtual_network" "this" {
  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  address_space       = ["10.20.0.0/16"]
}

locals {
  subnets = {
    apps     = { prefix = "10.20.0.0/23", owner = "Microsoft.App/environments", endpoints = [] }
    database = { prefix = "10.20.2.0/28", owner = "Microsoft.DBforPostgreSQL/flexibleServers", endpoints = ["Microsoft.Storage"] }
  }
  # Who may speak to whom; within the network everybody may, unless a line of these says otherwise.
  flows = {
    doors   = { to = "apps", from = "Internet", port = "443", access = "Allow", priority = 100 }
    servers = { to = "database", from = local.subnets.apps.prefix, port = "5432", access = "Allow", priority = 100 }
    others  = { to = "database", from = "VirtualNetwork", port = "*", access = "Deny", priority = 200 }
  }
}

resource "azurerm_subnet" "this" {
  for_each             = local.subnets
  name                 = each.key
  resource_group_name  = azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = [each.value.prefix]
  service_endpoints    = each.value.endpoints
  delegation {
    name = each.key
    service_delegation {
      name    = each.value.owner
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_network_security_group" "this" {
  for_each            = local.subnets
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

resource "azurerm_network_security_rule" "flow" {
  for_each                    = local.flows
  name                        = each.key
  resource_group_name         = azurerm_resource_group.this.name
  network_security_group_name = azurerm_network_security_group.this[each.value.to].name
  direction                   = "Inbound"
  access                      = each.value.access
  priority                    = each.value.priority
  protocol                    = each.value.access == "Deny" ? "*" : "Tcp"
  source_address_prefix       = each.value.from
  source_port_range           = "*"
  destination_address_prefix  = local.subnets[each.value.to].prefix
  destination_port_range      = each.value.port
}

resource "azurerm_subnet_network_security_group_association" "this" {
  for_each                  = local.subnets
  subnet_id                 = azurerm_subnet.this[each.key].id
  network_security_group_id = azurerm_network_security_group.this[each.key].id
}

# The database's name leads to its private address, in this network alone.
resource "azurerm_private_dns_zone" "database" {
  name                = "${local.name}.private.postgres.database.azure.com"
  resource_group_name = azurerm_resource_group.this.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "database" {
  name                  = local.name
  resource_group_name   = azurerm_resource_group.this.name
  private_dns_zone_name = azurerm_private_dns_zone.database.name
  virtual_network_id    = azurerm_virtual_network.this.id
}
