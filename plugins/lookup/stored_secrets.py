# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the fleet's secrets from a store of AWS."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stored_secrets
author: The minato.fleet maintainers (@minato-fleet)
short_description: Read the fleet's secrets from SSM Parameter Store or Secrets Manager
version_added: 0.1.0
description:
  - Reads every secret under a prefix, a page a call, and gives them by app and name, as C(fleet_secrets) is.
  - A secret's path is the prefix, the app and the name; or the prefix and the app, with a JSON object of both.
  - No value is shown at any verbosity.
  - SSM needs C(ssm:GetParametersByPath) and C(kms:Decrypt). Secrets Manager needs
    C(secretsmanager:BatchGetSecretValue), C(secretsmanager:GetSecretValue) and C(secretsmanager:ListSecrets).
options:
  _terms:
    description: Where the fleet's secrets begin, for example C(/minato/production/). One prefix.
    required: true
  app:
    description: Read the secrets of this app alone, and give them by name. It needs no right to read those of others.
    type: str
    default: ""
  store:
    description: Which store holds them.
    type: str
    choices: [ssm, secretsmanager]
    default: ssm
  region:
    description: The store's region. Left out, that of the profile or of C(AWS_REGION).
    type: str
  profile:
    description: The profile of the credentials. Left out, as the AWS command line finds them.
    type: str
  endpoint_url:
    description: Another address of the store, for an emulated cloud.
    type: str
requirements:
  - boto3
"""

EXAMPLES = r"""
# In an inventory. One parameter a secret: /minato/production/medical-api/JWT_SECRET
fleet_secrets: "{{ lookup('minato.fleet.stored_secrets', '/minato/production/', region='ap-northeast-1') }}"

# One secret an app: minato/production/medical-api, a JSON object
fleet_secrets_of_staging: "{{ lookup('minato.fleet.stored_secrets', 'minato/staging/', store='secretsmanager') }}"

# Those of one app, by name
values: "{{ lookup('minato.fleet.stored_secrets', '/minato/production/', app='medical-api', region='ap-northeast-1') }}"
"""

RETURN = r"""
_list:
  description: One mapping, of names and values by app, or of the names and values of O(app).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.minato.fleet.plugins.plugin_utils import secret_stores


class LookupModule(LookupBase):
    """Asks the store once for each use: a playbook keeps the answer with set_fact."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """The secrets under the prefix, or AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        if len(terms) != 1 or not str(terms[0]).strip("/"):
            raise AnsibleLookupError("minato.fleet.stored_secrets takes one prefix, such as /minato/production/.")
        prefix = f"{terms[0]}".rstrip("/") + "/"
        service, read = secret_stores.STORES[self.get_option("store")]
        where = f"{service} in {self.get_option('region') or 'the region of the profile'}"
        try:
            import boto3
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise AnsibleLookupError("The controller lacks boto3. Install it: pip install boto3") from error
        try:
            session = boto3.Session(profile_name=self.get_option("profile"), region_name=self.get_option("region"))
            client = session.client(service, endpoint_url=self.get_option("endpoint_url"))
            app = self.get_option("app")
            if app:
                return [secret_stores.of_app(read(client, prefix + app), prefix, app)]
            return [secret_stores.by_app(read(client, prefix), prefix)]
        except secret_stores.StoreError as error:
            raise AnsibleLookupError(f"Secrets under {prefix} from {where}: {error}.") from None
        except (BotoCoreError, ClientError) as error:
            raise AnsibleLookupError(
                f"Secrets under {prefix} from {where}: {error}"
                " Check the region, the credentials, and what they may read."
            ) from None
