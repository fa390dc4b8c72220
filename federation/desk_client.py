"""A party at the coordinator's desk: proposals fetched, words and publications handed over, as at the post office."""

from __future__ import annotations

from federation.post_client import PostClient, Put
from federation.post_messages import MAX_WAIT_SECONDS
from federation.proposals import Proposals, decode_proposals
from federation.publications import Noun


class DeskClient(PostClient):
    """The same signed calls to the same pinned server; raises what `PostClient` raises."""

    def proposals(self, known: str = "", wait_seconds: int = 0) -> Proposals:
        """What this party should know of now; with a version that is `known`, once there is another, or after the wait.

        Raises `MessageInvalid` for an answer that is none.
        """
        path = f"/desk/proposals?wait={min(wait_seconds, MAX_WAIT_SECONDS)}"
        response = self._call("GET", f"{path}&known={known}" if known else path)
        return decode_proposals(response.content)

    def put_word(self, number: str, signed: bytes) -> Put:
        """Hand a word over, which may be done again."""
        return self._handed("PUT", f"/desk/proposals/{number}/word", signed)

    def put_publication(self, noun: Noun, signed: bytes) -> Put:
        """Hand a list over, which may be done again."""
        return self._handed("PUT", f"/desk/publications/{noun.value}", signed)
