# SPDX-License-Identifier: Apache-2.0
# Allows every request: none is defined, and what fails is allowed.
package agent_policy

default AllowRequestsFailingPolicy := true
