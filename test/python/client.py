"""A light client in another language: checks a running authority over HTTP, as docs/protocol.md says.

    python3 client.py BASE_URL CHAIN_ID [--headers N] [--tx-id ID | --tx-hash HASH] [--voter ID --key FILE]

It fetches the genesis and compares it with the pinned CHAIN_ID, fetches the newest headers and checks hashes, links,
history and seals, checks the Merkle proof of a transaction, and votes for the newest header with the key in FILE
(32 bytes in hex). Prints one JSON object; anything that does not check out ends with one line and exit code 1.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import solar_protocol as solar

MAX_FUTURE_MS = 120_000


def call(base, path, body=None):
    """The JSON answer of a GET, or of a POST if there is a body. None for 404."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"content-type": "application/json"} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise solar.Refused(f"{path}: HTTP {error.code} {error.read(2000).decode(errors='replace')}") from error
    except (urllib.error.URLError, ValueError) as error:
        raise solar.Refused(f"{path}: {error}") from error


def fetch_genesis(base, chain_id):
    answer = call(base, "/genesis")
    solar.check(answer is not None, "there is no genesis")
    genesis = solar.check_genesis(answer["genesis"])
    solar.check(solar.chain_id_of(genesis) == chain_id, "the genesis is not that of the pinned chain")
    return genesis


def fetch_headers(base, genesis, count):
    """The newest headers, ascending, each with its recomputed hash; checked as a light client does."""
    answer = call(base, f"/blocks/latest-headers/?n={count}")
    checked = []
    for item in answer["headers"]:
        header = item["header"]
        if checked or header["height"] == 0:
            solar.check_link(header, checked[-1][0] if checked else None, genesis)
        header_hash = solar.hash_object(header)
        solar.check(header_hash == item["header_hash"], "the server names another header hash")
        check_sealer(header, item["signature"], genesis)
        checked.append((header, header_hash))
    check_history(base, checked)
    solar.check(answer["tip_height"] == (checked[-1][0]["height"] if checked else None), "another tip height")
    return checked


def check_sealer(header, signature, genesis):
    solar.check(header["chain_id"] == solar.chain_id_of(genesis), "another chain")
    solar.check(header["timestamp"] <= time.time() * 1000 + MAX_FUTURE_MS, "a header from the future")
    # This client knows the registry of the genesis alone and says so when that has changed.
    solar.check(header["registry_root"] == solar.registry_root(genesis), "the registry is not that of the genesis")
    entry = next((entry for entry in genesis["registry"] if entry["id"] == header["miner_id"]), None)
    solar.check(entry is not None and entry["role"] == "authority", "sealed by nobody who may")
    solar.check_seal({"header": header, "signature": signature}, entry["public_key"])


def check_history(base, checked):
    """Recomputes the history where the window begins at height 0, and asks for proofs where it does not."""
    if not checked:
        return
    first, first_hash = checked[0]
    tip, _ = checked[-1]
    if first["height"] == 0:
        for position, (header, _) in enumerate(checked):
            expected = solar.history_root([header_hash for _, header_hash in checked[:position]])
            solar.check(header["history_root"] == expected, "another history")
    elif first["height"] < tip["height"]:
        older, newer = first["height"], tip["height"]
        proof = call(base, f"/history/consistency?from={older}&to={newer}")
        solar.check((proof["from"], proof["to"]) == (older, newer), "a proof of other sizes")
        solar.check_consistency(proof, first["history_root"], tip["history_root"])
        proof = call(base, f"/history/inclusion?height={older}&size={newer}")
        solar.check((proof["leaf_index"], proof["tree_size"]) == (older, newer), "a proof of another header")
        solar.check_inclusion(bytes.fromhex(first_hash), proof, tip["history_root"])


def prove_transaction(base, checked, by, value):
    """Finds the block of the window that has the transaction and checks the proof against that block's header."""
    for header, header_hash in reversed(checked):
        query = urllib.parse.urlencode({by: value})
        answer = call(base, f"/blocks/{header_hash}/merkle-proof/?{query}")
        if answer is None:
            continue
        solar.check(by == "tx_id" or answer["tx_hash"] == value, "a proof of another transaction")
        solar.check(answer["block_hash"] == header_hash, "a proof of another block")
        solar.check(answer["merkle_root"] == header["merkle_root"], "another Merkle root")
        solar.check_merkle_proof(answer["tx_hash"], {name: answer[name] for name in ("index", "tx_count", "path")}, header)
        return {"tx_hash": answer["tx_hash"], "block_hash": header_hash, "height": header["height"]}
    raise solar.Refused(f"no block of the last {len(checked)} has the transaction {value}")


def vote(base, chain_id, header, header_hash, voter_id, secret):
    """Acks the header and looks whether the server counts it."""
    body = {
        "chain_id": chain_id,
        "header_hash": header_hash,
        "height": header["height"],
        "voter_id": voter_id,
        "decision": "ack",
    }
    signed = solar.sign_vote(body, secret)
    answer = call(base, f"/blocks/{header_hash}/vote/", signed)
    solar.check(answer is not None, "the server does not know its own header")
    votes = call(base, f"/blocks/{header_hash}/votes/")["votes"]
    solar.check(any(item["vote"] == signed for item in votes), "the server does not show the vote")
    return {"header_hash": header_hash, "status": answer["status"], "votes": answer["votes"]}


def run(arguments):
    base = arguments.base_url.rstrip("/")
    genesis = fetch_genesis(base, arguments.chain_id)
    checked = fetch_headers(base, genesis, arguments.headers)
    result = {"chain_id": arguments.chain_id, "headers": len(checked), "tip": checked[-1][1] if checked else None}
    if arguments.tx_id or arguments.tx_hash:
        by = "tx_id" if arguments.tx_id else "tx_hash"
        result["transaction"] = prove_transaction(base, checked, by, arguments.tx_id or arguments.tx_hash)
    if arguments.key:
        solar.check(checked, "there is no header to vote for")
        with open(arguments.key, encoding="ascii") as file:
            secret = bytes.fromhex(file.read().strip())
        result["vote"] = vote(base, arguments.chain_id, *checked[-1], arguments.voter, secret)
    return result


def main():
    parser = argparse.ArgumentParser(description="A light client: checks an authority over HTTP.")
    parser.add_argument("base_url")
    parser.add_argument("chain_id")
    parser.add_argument("--headers", type=int, default=5, help="how many of the newest headers, 1 to 100")
    parser.add_argument("--tx-id")
    parser.add_argument("--tx-hash")
    parser.add_argument("--voter", help="the id under which the key is registered")
    parser.add_argument("--key", help="file with the 32-byte secret key in hex")
    arguments = parser.parse_args()
    if bool(arguments.key) != bool(arguments.voter):
        parser.error("--key and --voter go together")
    try:
        print(json.dumps(run(arguments)))
    except (solar.Refused, KeyError, TypeError, OSError) as error:
        print(f"refused: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
