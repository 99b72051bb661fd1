"""What the account's key may do, as the exchange itself would say.

Belongs here: permissions and expiry of the key. Whether a request was signed belongs in signing.
"""

from dataclasses import dataclass

from daemon.embedded.dialect import Payload
from daemon.embedded.refusals import key_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyScope:
    """The permissions of a trading key as one should be: it may trade and read, nothing else.

    After `expires_ms` of wall time it may no longer trade; None is never.
    """

    may_trade: bool = True
    may_withdraw: bool = False
    is_ip_restricted: bool = True
    created_ms: int = 1_700_000_000_000
    expires_ms: int | None = None

    def check_trade(self, now_ms: int) -> None:
        """RequestError -2015 when the key may not place or cancel orders."""
        if not self.may_trade or (self.expires_ms is not None and now_ms >= self.expires_ms):
            raise key_refused()


def restrictions_payload(scope: KeyScope) -> Payload:
    """The reply of /sapi/v1/account/apiRestrictions; the expiry is only there when there is one."""
    payload: Payload = {
        "ipRestrict": scope.is_ip_restricted,
        "createTime": scope.created_ms,
        "enableReading": True,
        "enableWithdrawals": scope.may_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": scope.may_trade,
        "enablePortfolioMarginTrading": False,
    }
    if scope.expires_ms is not None:
        payload["tradingAuthorityExpirationTime"] = scope.expires_ms
    return payload
