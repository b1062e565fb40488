# What a person has to know, by mail: docs/runbook.md says what to do. Thresholds are those of monitoring/alerts.yml,
# and so is the language; metrics are those that Cloud Run keeps of each service, and the monitor's own.
locals {
  of    = "monitored_resource=\"cloud_run_revision\",service_name=\"${google_cloud_run_v2_service.server["production"].name}\""
  asked = "run_googleapis_com:request_count{${local.of}}"
  # Requests a second that are the uptime check's own: six places, each once a minute.
  checks = 0.1
  cpu    = "run_googleapis_com:container_cpu_utilizations"
  # As `show` of deploy.py names them, after custom.googleapis.com/.
  monitor = "custom_googleapis_com:${replace(local.name, "-", "_")}_"
  alarms = {
    PredictionsSlow = {
      says    = "latency: one request in a hundred takes over 0.5 s"
      query   = "histogram_quantile(0.99, sum by (le) (rate(run_googleapis_com:request_latencies_bucket{${local.of}}[5m]))) > 500"
      minutes = 10
    }
    TrafficLost = {
      says    = "traffic: far fewer predictions are asked for than at this hour of yesterday"
      query   = "(sum(rate(${local.asked}[1h])) or vector(0)) - ${local.checks} < 0.1 * (sum(rate(${local.asked}[1h] offset 1d)) - ${local.checks} > 0.02)"
      minutes = 15
    }
    ErrorsServed = {
      says    = "errors: more than 1 % of the answers have a status of 500 or more"
      query   = "sum(rate(run_googleapis_com:request_count{${local.of},response_code_class=\"5xx\"}[5m])) / sum(rate(${local.asked}[5m])) > 0.01"
      minutes = 5
    }
    ServerSaturated = {
      says    = "saturation: the processors of all servers are nearly busy"
      query   = "sum(rate(${local.cpu}_sum{${local.of}}[5m])) / sum(rate(${local.cpu}_count{${local.of}}[5m])) > 0.8"
      minutes = 5
    }
    ServerSaturated-memory = {
      says    = "saturation: the memory of a server is nearly full"
      query   = "histogram_quantile(0.99, sum by (le) (rate(run_googleapis_com:container_memory_utilizations_bucket{${local.of}}[5m]))) > 0.9"
      minutes = 5
    }
    # What the monitor found: from the workflow `monitor`, each day.
    Drift = {
      says    = "what is asked for drifts from the reference"
      query   = "max(last_over_time(${local.monitor}Drift[25h])) >= 1"
      minutes = 0
    }
    QualityBad = {
      says    = "by late labels the champion is bad"
      query   = "max(last_over_time(${local.monitor}QualityBad[25h])) >= 1"
      minutes = 0
    }
    RetrainingHalted = {
      says    = "several retrainings in a row brought no new champion"
      query   = "max(last_over_time(${local.monitor}RetrainingHalted[25h])) >= 1"
      minutes = 0
    }
    # GitHub's clock may stop, or the workflow be red: then the figures above say nothing, and this does.
    MonitorNotRun = {
      says    = "for two days nobody heard of the monitor"
      query   = "absent_over_time(${local.monitor}Drift[25h])"
      minutes = 23 * 60
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "${var.project}: alarms"
  type         = "email"
  labels       = { email_address = var.email }
}

resource "google_monitoring_alert_policy" "this" {
  for_each              = local.alarms
  display_name          = "${local.name}-${each.key}"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  conditions {
    display_name = each.value.says
    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = "${each.value.minutes * 60}s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # before the first request and the first look there is none
    }
  }
  documentation {
    content = "${each.value.says}: docs/runbook.md#${lower(split("-", each.key)[0])}"
  }
}

# Asked from several places of the world; without a token, which this page does not want.
resource "google_monitoring_uptime_check_config" "production" {
  display_name = "${local.name}-production"
  timeout      = "10s"
  period       = "60s"
  http_check {
    path         = "/readyz"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }
  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.google_project
      host       = trimprefix(google_cloud_run_v2_service.server["production"].uri, "https://")
    }
  }
}

resource "google_monitoring_alert_policy" "down" {
  display_name          = "${local.name}-ServerDown"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  conditions {
    display_name = "no server is healthy"
    condition_threshold {
      filter = join(" AND ", [
        "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"", "resource.type=\"uptime_url\"",
        "metric.label.check_id=\"${google_monitoring_uptime_check_config.production.uptime_check_id}\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 1 # of the places: one alone may have lost its way to us
      duration        = "120s"
      aggregations {
        alignment_period     = "120s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }
  documentation {
    content = "no server is healthy: docs/runbook.md#serverdown"
  }
}

resource "google_billing_budget" "month" {
  billing_account = var.billing_account
  display_name    = local.name
  budget_filter {
    projects = ["projects/${local.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = { CURRENT_SPEND = 0.8, FORECASTED_SPEND = 1.0 }
    content {
      spend_basis       = threshold_rules.key
      threshold_percent = threshold_rules.value
    }
  }
  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.email.id]
    disable_default_iam_recipients   = true
  }
}
