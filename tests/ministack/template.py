"""Prints a CloudFormation template as JSON, its short forms (!Ref, !GetAtt, …) written out.

template.py FILE [BUCKET KEY]: with the two, a SAM template is transformed.
"""

import json
import sys

import yaml


class Loader(yaml.SafeLoader):
    """YAML as CloudFormation means it."""


def written_out(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", written_out)
# A date without quotes is text to CloudFormation, as in Version: 2012-10-17.
Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml.load(file, Loader)

if len(sys.argv) > 2:
    # What CloudFormation's own transform makes of it, the function's code at this bucket and key.
    from samtranslator.translator.transform import transform

    class NoManagedPolicies:
        def load(self):
            return {}

    bucket, key = sys.argv[2:]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    template = transform(template, {}, NoManagedPolicies())

json.dump(template, sys.stdout)
