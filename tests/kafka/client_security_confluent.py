"""Users and rules by confluent-kafka's admin client: SCRIPT KAFKA POSTGRES. The server has the user root, who may do all."""

import sys

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

KAFKA = sys.argv[1]


def settings(name, password):
    return {
        "bootstrap.servers": KAFKA,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "SCRAM-SHA-256",
        "sasl.username": name,
        "sasl.password": password,
    }


def outcome(future):
    try:
        return future.result(timeout=30)
    except KafkaException as error:
        return error.args[0].code()


root = AdminClient(settings("root", "root's secret"))
upsertion = UserScramCredentialUpsertion(
    "ann", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), b"ann's secret", b"some salt"
)
assert outcome(root.alter_user_scram_credentials([upsertion])["ann"]) is None
described = outcome(root.describe_user_scram_credentials(["ann"])["ann"])
assert [(info.mechanism, info.iterations) for info in described.scram_credential_infos] == [
    (ScramMechanism.SCRAM_SHA_256, 8192)
], described
assert outcome(root.describe_user_scram_credentials(["bob"])["bob"]) == KafkaError.RESOURCE_NOT_FOUND

outcome(root.create_topics([NewTopic("open-1", 1, 1)])["open-1"])


def written():
    """What becomes of a record that ann sends: None when it was taken."""
    reports = []
    producer = Producer({**settings("ann", "ann's secret"), "message.timeout.ms": 10000})
    producer.produce("open-1", b"hello", on_delivery=lambda error, _: reports.append(error))
    producer.flush(20)
    return reports[0] and reports[0].code()


rule = AclBinding(
    ResourceType.TOPIC,
    "open-",
    ResourcePatternType.PREFIXED,
    "User:ann",
    "*",
    AclOperation.WRITE,
    AclPermissionType.ALLOW,
)
asked = AclBindingFilter(
    ResourceType.TOPIC,
    "open-1",
    ResourcePatternType.MATCH,
    None,
    None,
    AclOperation.ANY,
    AclPermissionType.ANY,
)
assert written() == KafkaError.TOPIC_AUTHORIZATION_FAILED
assert outcome(root.create_acls([rule])[rule]) is None
assert outcome(root.describe_acls(asked)) == [rule]
assert written() is None
ann = AdminClient(settings("ann", "ann's secret"))
assert outcome(ann.create_acls([rule])[rule]) == KafkaError.CLUSTER_AUTHORIZATION_FAILED
assert outcome(root.delete_acls([asked])[asked]) == [rule]
assert outcome(root.describe_acls(asked)) == []
assert written() == KafkaError.TOPIC_AUTHORIZATION_FAILED
deletion = UserScramCredentialDeletion("ann", ScramMechanism.SCRAM_SHA_256)
assert outcome(root.alter_user_scram_credentials([deletion])["ann"]) is None
assert outcome(root.describe_user_scram_credentials(["ann"])["ann"]) == KafkaError.RESOURCE_NOT_FOUND
