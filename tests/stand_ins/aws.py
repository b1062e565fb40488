"""The AWS API of the tests, over TLS and without: moto's server, and the answers that it lacks for infra/aws.

    aws.py PORT PLAIN CERTIFICATE KEY    listens on both ports of this machine

moto 5.2.5 makes all of it, but does not say afterwards which tags and subscribers budgets and scaling targets were
given, what a rule between two security groups is for, and how long a service may take to become healthy. And it reads
no condition in the policy of a bucket: whether a request came over TLS is asked here. A mark that something was deleted
has nothing to give back when a bucket goes.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, cast

from flask import request
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as Scaling
from moto.budgets.responses import BudgetsResponse as Budgets
from moto.core.responses import ActionResult
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.responses import EC2ContainerServiceResponse as Services
from moto.iam.access_control import IAMPolicy
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.server import main

TAGS: dict[str, Any] = {}
SUBSCRIBERS: dict[str, Any] = {}

register, create, notification = Scaling.register_scalable_target, Budgets.create_budget, Budgets.create_notification
serve = Services.create_service


def register_scalable_target(self: Scaling) -> str:
    """Keep the tags of a target, under its ARN; a later call without any leaves them."""
    said = register(self)
    TAGS.setdefault(json.loads(said)["ScalableTargetARN"], self._get_param("Tags") or {})
    return said


def tags_of_a_target(self: Scaling) -> str:
    """Say them."""
    return json.dumps({"Tags": TAGS.get(self._get_param("ResourceARN"), {})})


def create_budget(self: Budgets) -> str:
    """Keep the tags of a budget, under the end of its ARN, and who is told of it."""
    name = self._get_param("Budget")["BudgetName"]
    TAGS[f"budget/{name}"] = self._get_param("ResourceTags") or []
    for one in self._get_param("NotificationsWithSubscribers") or []:
        SUBSCRIBERS[f"{name} {one['Notification']['NotificationType']}"] = one["Subscribers"]
    return create(self)


def tags_of_a_budget(self: Budgets) -> str:
    """Say them."""
    return json.dumps({"ResourceTags": TAGS.get(self._get_param("ResourceARN").rpartition(":")[2], [])})


def subscribers(self: Budgets) -> str:
    """Say who is told."""
    notification = self._get_param("Notification")["NotificationType"]
    return json.dumps({"Subscribers": SUBSCRIBERS[f"{self._get_param('BudgetName')} {notification}"]})


def notify(self: Budgets) -> str:
    """Keep who is told, where a notification is added later."""
    one = self._get_param("Notification")
    SUBSCRIBERS[f"{self._get_param('BudgetName')} {one['NotificationType']}"] = self._get_param("Subscribers")
    return notification(self)


def create_service(self: Services) -> ActionResult:
    """Keep what moto does not."""
    said = serve(self)
    service: Any = cast(dict[str, Any], said.result)["service"]
    service.health_check_grace_period_seconds = self._get_param("healthCheckGracePeriodSeconds")
    service.availability_zone_rebalancing = self._get_param("availabilityZoneRebalancing")
    return said


def permission(self: FakeBucket, action: str, resource: str) -> Any:
    """Judge by the statements of the bucket's policy that are about a request such as this one."""
    policy = json.loads(self.policy or '{"Version": "2012-10-17", "Statement": []}')
    secure = str(request.is_secure).lower()
    policy["Statement"] = [
        one
        for one in policy["Statement"]
        if one.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport", secure) == secure
    ]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


REPLACED: list[tuple[type, str, Any]] = [
    (Services, "create_service", create_service),
    (FakeBucket, "get_permission", permission),
    (FakeDeleteMarker, "dispose", lambda self, *_: None),
    (SecurityGroupRule, "description", property(lambda self: (self.ip_range or self.source_group).get("Description"))),
    (Scaling, "register_scalable_target", register_scalable_target),
    (Scaling, "list_tags_for_resource", tags_of_a_target),
    (Budgets, "create_budget", create_budget),
    (Budgets, "create_notification", notify),
    (Budgets, "list_tags_for_resource", tags_of_a_budget),
    (Budgets, "describe_subscribers_for_notification", subscribers),
]

if __name__ == "__main__":
    for kind, name, answer in REPLACED:
        setattr(kind, name, answer)
    port, plain, certificate, key = sys.argv[1:]
    threading.Thread(target=main, args=(["-H", "127.0.0.1", "-p", plain],), daemon=True).start()
    main(["-H", "127.0.0.1", "-p", port, "-c", certificate, "-k", key])
