# What a person has to know, by mail: docs/runbook.md says what to do. Thresholds are near those of monitoring/alerts.yml.
locals {
  # One figure of production beyond its threshold for so long. Azure has no percentile, and no quotient of two figures.
  beyond = {
    ServerDown = {
      says   = "no server runs", see = "serverdown", severity = 0
      metric = "Replicas", aggregation = "Maximum", operator = "LessThan", threshold = 1, window = "PT5M", status = []
    }
    PredictionsSlow = {
      says   = "latency: an answer takes over 0.25 s on average", see = "predictionsslow", severity = 2
      metric = "ResponseTime", aggregation = "Average", operator = "GreaterThan", threshold = 250, window = "PT15M", status = []
    }
    ErrorsServed = {
      says   = "errors: more than 5 answers in 5 minutes have a status of 500 or more", see = "errorsserved", severity = 0
      metric = "Requests", aggregation = "Total", operator = "GreaterThan", threshold = 5, window = "PT5M", status = ["5xx"]
    }
    ServerSaturated = {
      says   = "saturation: the processors of all servers are nearly busy", see = "serversaturated", severity = 2
      metric = "CpuPercentage", aggregation = "Average", operator = "GreaterThan", threshold = 80, window = "PT5M", status = []
    }
    ServerMemory = {
      says   = "saturation: the memory of a server is nearly full", see = "serversaturated", severity = 2
      metric = "MemoryPercentage", aggregation = "Maximum", operator = "GreaterThan", threshold = 90, window = "PT5M", status = []
    }
  }
  # What the monitor found: deploy.py show, from the workflow `monitor`, each day. Its latest word counts, for two days.
  columns = ["Drift", "QualityBad", "RetrainingHalted"]
  asked = merge(
    {
      # GitHub's clock may stop, or the workflow be red: then the others say nothing, and this does.
      MonitorNotRun = { says = "for two days nobody heard of the monitor", query = "Monitor_CL", operator = "LessThan", threshold = 1 }
    },
    { for name, says in {
      Drift            = "what is asked for drifts from the reference"
      QualityBad       = "by late labels the champion is bad"
      RetrainingHalted = "several retrainings in a row brought no new champion"
      } : name => {
      says = says, query = "Monitor_CL | top 1 by TimeGenerated desc | where ${name}", operator = "GreaterThan", threshold = 0
    } },
  )
}

resource "azurerm_monitor_action_group" "email" {
  name                = "${local.name}-alarms"
  resource_group_name = azurerm_resource_group.this.name
  short_name          = substr(local.name, 0, 12)
  email_receiver {
    name          = "team"
    email_address = var.email
  }
}

resource "azurerm_monitor_metric_alert" "beyond" {
  for_each            = { for name, one in local.beyond : name => one if contains(local.apps, "production") }
  name                = each.key
  resource_group_name = azurerm_resource_group.this.name
  scopes              = [azurerm_container_app.server["production"].id]
  description         = "${each.value.says}: docs/runbook.md#${each.value.see}"
  severity            = each.value.severity
  frequency           = "PT1M"
  window_size         = each.value.window
  criteria {
    metric_namespace = "Microsoft.App/containerApps"
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = each.value.operator
    threshold        = each.value.threshold
    dynamic "dimension" {
      for_each = each.value.status
      content {
        name     = "statusCodeCategory"
        operator = "Include"
        values   = [dimension.value]
      }
    }
  }
  action {
    action_group_id = azurerm_monitor_action_group.email.id
  }
}

# It needs some two weeks of history.
resource "azurerm_monitor_metric_alert" "traffic" {
  for_each            = setintersection(local.apps, ["production"])
  name                = "TrafficLost"
  resource_group_name = azurerm_resource_group.this.name
  scopes              = [azurerm_container_app.server[each.key].id]
  description         = "traffic: far fewer predictions are asked for than at this hour of other days: docs/runbook.md#trafficlost"
  severity            = 2
  frequency           = "PT15M"
  window_size         = "PT1H"
  dynamic_criteria {
    metric_namespace         = "Microsoft.App/containerApps"
    metric_name              = "Requests"
    aggregation              = "Total"
    operator                 = "LessThan"
    alert_sensitivity        = "Low"
    evaluation_total_count   = 4
    evaluation_failure_count = 4
  }
  action {
    action_group_id = azurerm_monitor_action_group.email.id
  }
}

# What the monitor found is a row a day, which the trainer may add and nobody change.
resource "azurerm_log_analytics_workspace_table_custom_log" "monitor" {
  name         = "Monitor_CL"
  workspace_id = azurerm_log_analytics_workspace.this.id
  column {
    name = "TimeGenerated"
    type = "dateTime"
  }
  dynamic "column" {
    for_each = local.columns
    content {
      name = column.value
      type = "boolean"
    }
  }
}

resource "azurerm_monitor_data_collection_endpoint" "monitor" {
  name                = "${local.name}-monitor"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

resource "azurerm_monitor_data_collection_rule" "monitor" {
  name                        = "${local.name}-monitor"
  resource_group_name         = azurerm_resource_group.this.name
  location                    = var.region
  data_collection_endpoint_id = azurerm_monitor_data_collection_endpoint.monitor.id
  stream_declaration {
    stream_name = "Custom-Monitor_CL"
    column {
      name = "TimeGenerated"
      type = "datetime"
    }
    dynamic "column" {
      for_each = local.columns
      content {
        name = column.value
        type = "boolean"
      }
    }
  }
  destinations {
    log_analytics {
      name                  = "workspace"
      workspace_resource_id = azurerm_log_analytics_workspace.this.id
    }
  }
  data_flow {
    streams       = ["Custom-Monitor_CL"]
    destinations  = ["workspace"]
    output_stream = "Custom-Monitor_CL"
    transform_kql = "source"
  }
  depends_on = [azurerm_log_analytics_workspace_table_custom_log.monitor]
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "found" {
  for_each                = local.asked
  name                    = each.key
  resource_group_name     = azurerm_resource_group.this.name
  location                = var.region
  scopes                  = [azurerm_log_analytics_workspace.this.id]
  description             = "${each.value.says}: docs/runbook.md#${lower(each.key)}"
  severity                = 2
  evaluation_frequency    = "PT1H"
  window_duration         = "P2D"
  auto_mitigation_enabled = true
  criteria {
    query                   = each.value.query
    time_aggregation_method = "Count"
    operator                = each.value.operator
    threshold               = each.value.threshold
  }
  action {
    action_groups = [azurerm_monitor_action_group.email.id]
  }
  depends_on = [azurerm_log_analytics_workspace_table_custom_log.monitor]
}

resource "azurerm_consumption_budget_resource_group" "month" {
  name              = local.name
  resource_group_id = azurerm_resource_group.this.id
  amount            = var.budget
  time_grain        = "Monthly"
  time_period {
    start_date = formatdate("YYYY-MM-01'T'00:00:00'Z'", plantimestamp()) # of the month in which it is made
  }
  dynamic "notification" {
    for_each = { Actual = 80, Forecasted = 100 }
    content {
      threshold_type = notification.key
      threshold      = notification.value
      operator       = "GreaterThan"
      contact_emails = [var.email]
    }
  }
  lifecycle {
    ignore_changes = [time_period]
  }
}
