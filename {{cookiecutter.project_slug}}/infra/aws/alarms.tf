# What a person has to know, by mail: docs/runbook.md says what to do. Thresholds are those of monitoring/alerts.yml.
locals {
  production = {
    LoadBalancer = aws_lb.this.arn_suffix
    TargetGroup  = aws_lb_target_group.door["production"].arn_suffix
  }
  service = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.server["production"].name }
  # One figure above its threshold for so many minutes.
  above = {
    PredictionsSlow = {
      says      = "latency: one request in a hundred takes over 0.5 s"
      namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.production
      statistic = "p99", threshold = 0.5, minutes = 10
    }
    ServerSaturated = {
      says      = "saturation: the processors of all servers are nearly busy"
      namespace = "AWS/ECS", metric = "CPUUtilization", dimensions = local.service
      statistic = "Average", threshold = 80, minutes = 5
    }
    ServerSaturated-memory = {
      says      = "saturation: the memory of a server is nearly full"
      namespace = "AWS/ECS", metric = "MemoryUtilization", dimensions = local.service
      statistic = "Maximum", threshold = 90, minutes = 5
    }
  }
  # What the monitor found: deploy.py show, from the workflow `monitor`, each day.
  found = {
    Drift            = "what is asked for drifts from the reference"
    QualityBad       = "by late labels the champion is bad"
    RetrainingHalted = "several retrainings in a row brought no new champion"
  }
}

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.alarms.id
}

resource "aws_sns_topic_subscription" "email" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.email
}

# A key of ours, since alarms and budgets may not use AWS's own.
resource "aws_kms_key" "alarms" {
  description             = "${local.name}: messages of alarms"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.alarms_key.json
}

data "aws_iam_policy_document" "alarms_key" {
  #checkov:skip=CKV_AWS_109:a key's policy speaks of that key alone
  #checkov:skip=CKV_AWS_111:a key's policy speaks of that key alone
  #checkov:skip=CKV_AWS_356:a key's policy speaks of that key alone
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${local.account}:root"]
    }
  }
  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each            = local.above
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "${each.value.says}: docs/runbook.md#${lower(split("-", each.key)[0])}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic == "p99" ? null : each.value.statistic
  extended_statistic  = each.value.statistic == "p99" ? "p99" : null
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${local.name}-ErrorsServed"
  alarm_description   = "errors: more than 1 % of the answers have a status of 500 or more: docs/runbook.md#errorsserved"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0.01
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  metric_query {
    id          = "share"
    label       = "share of errors"
    expression  = "(FILL(target, 0) + FILL(balancer, 0)) / asked"
    return_data = true
  }
  dynamic "metric_query" {
    # The balancer's own: no server took the request.
    for_each = { target = "HTTPCode_Target_5XX_Count", balancer = "HTTPCode_ELB_5XX_Count", asked = "RequestCount" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = metric_query.key == "balancer" ? { LoadBalancer = local.production.LoadBalancer } : local.production
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

# It needs some two weeks of history.
resource "aws_cloudwatch_metric_alarm" "traffic" {
  alarm_name          = "${local.name}-TrafficLost"
  alarm_description   = "traffic: far fewer predictions are asked for than at this hour of other days: docs/runbook.md#trafficlost"
  comparison_operator = "LessThanLowerThreshold"
  threshold_metric_id = "usual"
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  metric_query {
    id          = "usual"
    label       = "usual traffic"
    expression  = "ANOMALY_DETECTION_BAND(asked, 4)"
    return_data = true
  }
  metric_query {
    id          = "asked"
    return_data = true
    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "RequestCount"
      dimensions  = local.production
      period      = 3600
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "down" {
  alarm_name          = "${local.name}-ServerDown"
  alarm_description   = "no server is healthy: docs/runbook.md#serverdown"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = local.production
  statistic           = "Maximum" # of what the balancer's nodes see: one of them may be late
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "found" {
  for_each            = local.found
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "${each.value}: docs/runbook.md#${lower(each.key)}"
  namespace           = local.name
  metric_name         = each.key
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 86400
  evaluation_periods  = 1
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# GitHub's clock may stop, or the workflow be red: then the figures above say nothing, and this does.
resource "aws_cloudwatch_metric_alarm" "silent" {
  alarm_name          = "${local.name}-MonitorNotRun"
  alarm_description   = "for two days nobody heard of the monitor: docs/runbook.md#monitornotrun"
  namespace           = local.name
  metric_name         = "Drift"
  statistic           = "SampleCount"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 86400
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_budgets_budget" "month" {
  name         = local.name
  budget_type  = "COST"
  limit_amount = tostring(var.budget)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  cost_filter {
    name   = "TagKeyValue"
    values = ["user:project${"$"}${var.project}"]
  }
  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = [var.email]
    }
  }
}
