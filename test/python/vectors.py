"""Checks every published vector with the independent implementation in solar_protocol.py.

    python3 vectors.py FOLDER          the folder with the vector files
    python3 vectors.py --canonical     reads transactions (one JSON a line), writes the hex of their canonical bytes,
                                       by the canonical_tx function of the integration plan's appendix

Prints one line for each file and exits 1 on the first disagreement.
"""

import hashlib
import json
import os
import sys

import solar_protocol as solar


def canonical_tx(tx: dict) -> bytes:
    # The appendix of the integration plan, word for word.
    return json.dumps(tx, sort_keys=True, separators=(",", ":")).encode()


def accepts(run):
    try:
        return run() is not False
    except solar.Refused:
        return False


def or_none(run):
    try:
        return run()
    except solar.Refused:
        return None


def same(case, found, expected):
    if found != expected:
        raise SystemExit(f"disagreement: found {found!r}, the file says {expected!r}, in {case!r}")


def test_leaf(i):
    return hashlib.sha256(f"solar-node test leaf {i}".encode()).hexdigest()


def test_header_hash(i):
    return hashlib.sha256(f"solar-node test header {i}".encode()).hexdigest()


def keys(c):
    secret = hashlib.sha256(f"solar-node TEST KEY, never use: {c['name']}".encode())
    same(c, secret.hexdigest(), c["secret"])
    same(c, solar.public_key_of(secret.digest()), c["public_key"])


def canonical(c):
    text = or_none(lambda: solar.canonical(json.loads(c["input"])).decode())
    same(c, text, c["canonical"])
    same(c, None if text is None else solar.sha256_hex(text.encode()), c["sha256"])


def canonical_bytes(c):
    same(c, accepts(lambda: [solar.parse_canonical(bytes.fromhex(c["bytes"]))]), c["ok"])


def decimals(c):
    for name, parse in (("quantity", solar.quantity), ("delta", solar.delta)):
        micro = or_none(lambda: parse(c["text"]))
        same(c, None if micro is None else str(micro), c[name])


def edge(c):
    value = json.loads(c["json"])
    for name in ("quantity", "delta", "identifier"):
        same(c, or_none(lambda: getattr(solar, f"edge_{name}")(value)), c[name])


def totals(c):
    kwh, price, total = (solar.quantity(c[name]) for name in ("kwh", "price_per_kwh", "total_amount"))
    same(c, solar.total_matches(kwh, price, total, c["amount_decimals"]), c["ok"])
    same(c, solar.format_micro(solar.rounded_total(kwh, price, c["amount_decimals"])), c["rounded"])


def signatures(c):
    message, signature = bytes.fromhex(c["message"]), bytes.fromhex(c["signature"])
    same(c, accepts(lambda: solar.ed25519_verify(c["public_key"], message, signature)), c["ok"])


def pseudonyms(c):
    secret = bytes.fromhex(c["secret"])
    same(c, solar.pseudonym_of(secret, c["chain_id"], c["user_id"]), c["pseudonym"])
    same(c, solar.keyed(secret, "pseudonym-secret", c["chain_id"], ""), c["check"])


def recipients(c):
    same(c, solar.recipient_of(c["public_key"]), c["recipient"])


def genesis(c):
    same(c, accepts(lambda: solar.check_genesis(c["genesis"])), c["ok"])
    if c["ok"]:
        same(c, solar.canonical(c["genesis"]).decode(), c["canonical"])
        same(c, solar.chain_id_of(c["genesis"]), c["chain_id"])
        same(c, solar.registry_root(c["genesis"]), c["registry_root"])


def transactions(c):
    same(c, accepts(lambda: solar.check_transaction(c["transaction"], 6)), c["ok"])
    if c["ok"]:
        same(c, canonical_tx(c["transaction"]).decode(), c["canonical"])
        same(c, hashlib.sha256(canonical_tx(c["transaction"])).hexdigest(), c["tx_hash"])


def merkle_roots(c):
    same(c, solar.merkle_root([test_leaf(i) for i in range(c["tx_count"])]), c["merkle_root"])


def merkle_proofs(c):
    same(c, accepts(lambda: solar.check_merkle_proof(c["leaf"], c["proof"], c["header"])), c["ok"])


def block_bodies(c):
    same(c, accepts(lambda: solar.check_block_body(c["header"], c["transactions"], TEST_GENESIS)), c["ok"])


def header_links(c):
    same(c, accepts(lambda: solar.check_link(c["header"], c["parent"], TEST_GENESIS)), c["ok"])


def whole_chains(c):
    chain = solar.Chain(solar.check_genesis(c["genesis"]))
    for earlier in c["blocks"]:
        chain.take(earlier, True)
    same(c, accepts(lambda: chain.take(c["block"], c["is_final"])), c["ok"])


def work(c):
    same(c, accepts(lambda: solar.check_link(c["header"], None, c["genesis"])), c["ok"])
    if c["ok"]:
        same(c, solar.hash_object(c["header"]), c["header_hash"])
        same(c, solar.smallest_nonce(c["header"]), c["smallest"])


def sealed_headers(c):
    sealed = solar.without(c, "name", "public_key", "canonical", "header_hash", "signing_bytes", "ok", "error")
    same(c, accepts(lambda: solar.check_seal(sealed, c["public_key"])), c["ok"])
    if "header_hash" in c:
        same(c, solar.canonical(c["header"]).decode(), c["canonical"])
        same(c, solar.hash_object(c["header"]), c["header_hash"])
        same(c, solar.signing_bytes("header", c["header"]["chain_id"], c["header"]).hex(), c["signing_bytes"])


def history_roots(c):
    same(c, solar.history_root([test_header_hash(i) for i in range(c["size"])]), c["root"])


def history_inclusion(c):
    data = bytes.fromhex(c["header_hash"])
    same(c, accepts(lambda: solar.check_inclusion(data, c["proof"], c["root"])), c["ok"])


def history_consistency(c):
    same(c, accepts(lambda: solar.check_consistency(c["proof"], c["from_root"], c["to_root"])), c["ok"])


def votes(c):
    same(c, accepts(lambda: solar.check_vote(c["vote"], c["chain_id"], c["target"], c["entry"])), c["ok"])
    if c["ok"]:
        body = solar.without(c["vote"], "signature")
        same(c, solar.signing_bytes("vote", c["chain_id"], body).hex(), c["signing_bytes"])
        secret = hashlib.sha256(b"solar-node TEST KEY, never use: alice").digest()
        same(c, solar.sign_vote(body, secret), c["vote"])


def orders(c):
    same(c, accepts(lambda: solar.check_order(c["order"], c["chain_id"], c["public_key"])), c["ok"])
    if c["ok"]:
        body = solar.without(c["order"], "signature")
        same(c, solar.signing_bytes("order", c["chain_id"], body).hex(), c["signing_bytes"])


def requests(c):
    arguments = (c["authorization"], c["method"], c["path"], c["origins"], c["chain_id"], c["public_key"], c["now"])
    same(c, accepts(lambda: solar.check_request(*arguments)), c["ok"])
    if c["ok"]:
        same(c, solar.check_request(*arguments), c["voter_id"])


def peer_requests(c):
    arguments = (c["credential"], c["path"], c["from"], c["to"], c["chain_id"], c["public_key"], c["now"])
    same(c, accepts(lambda: solar.check_peer_request(*arguments)), c["ok"])
    if c["ok"]:
        body = solar.without(solar.without(c["credential"], "voter_id"), "signature")
        same(c, solar.signing_bytes("request", c["chain_id"], body).hex(), c["signing_bytes"])


def memberships(c):
    arguments = (c["membership"], c["chain_id"], c["voter_id"], c["keys"], c["now"])
    same(c, accepts(lambda: solar.check_membership(*arguments)), c["ok"])
    if c["ok"]:
        body = solar.without(c["membership"], "signature")
        same(c, solar.signing_bytes("member", c["chain_id"], body).hex(), c["signing_bytes"])


def receipts(c):
    try:
        found = solar.check_receipt(c["receipt"], c["chain_id"], WITNESSES)
    except solar.Refused:
        found = None
    same(c, found is not None, c["ok"])
    if found is not None:
        same(c, found, {name: c[name] for name in ("status", "net", "witnesses")})


def anchors(c):
    same(c, accepts(lambda: solar.check_first_anchor(c["answer"], c["genesis"])), c["ok"])


def registry_proofs(c):
    if "policy" in c:
        same(c, accepts(lambda: solar.check_policy(c["policy"], c["proof"], c["root"])), c["ok"])
    else:
        same(c, accepts(lambda: solar.check_entry(c["entry"], c["proof"], c["root"])), c["ok"])


def evidence(c):
    arguments = (c["evidence"], c["genesis"], c["chain_id"], c["trusted_root"])
    same(c, accepts(lambda: solar.check_evidence(*arguments)), c["ok"])


def checkpoints(c):
    def read():
        note = solar.parse_note(c["note"].encode())
        return solar.check_checkpoint(note, c["origin"], c["log_key"], c["witnesses"])

    found = or_none(read)
    same(c, found is not None, c["ok"])
    if found is not None:
        same(c, (found[0]["size"], found[0]["root"], found[1]), (c["size"], c["root"], c["cosigners"]))


def add_checkpoint(c):
    same(c, solar.add_checkpoint_status(c["body"], c["log"]), c["status"])


CHECKS = (
    keys,
    canonical,
    canonical_bytes,
    decimals,
    edge,
    totals,
    signatures,
    genesis,
    transactions,
    merkle_roots,
    merkle_proofs,
    block_bodies,
    header_links,
    whole_chains,
    work,
    sealed_headers,
    history_roots,
    history_inclusion,
    history_consistency,
    votes,
    orders,
    requests,
    peer_requests,
    memberships,
    receipts,
    anchors,
    registry_proofs,
    evidence,
    checkpoints,
    add_checkpoint,
    pseudonyms,
    recipients,
)
TEST_GENESIS = {}
WITNESSES = [
    (f"witness.example/{name}", solar.public_key_of(hashlib.sha256(f"solar-node TEST KEY, never use: witness.example/{name}".encode()).digest()))
    for name in ("one", "two")
]


def main(folder):
    files = {f"{check.__name__.replace('_', '-')}.json": check for check in CHECKS}
    unknown = sorted(set(os.listdir(folder)) ^ set(files))
    if unknown:
        raise SystemExit(f"files without a check, or checks without a file: {unknown}")
    loaded = {}
    for name in files:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            loaded[name] = json.load(file)["cases"]
    TEST_GENESIS.update(loaded["genesis.json"][0]["genesis"])
    for name, check in files.items():
        for case in loaded[name]:
            check(case)
        print(f"{name}: {len(loaded[name])} cases agree")


if __name__ == "__main__":
    if sys.argv[1:] == ["--canonical"]:
        for line in sys.stdin:
            print(canonical_tx(json.loads(line)).hex())
    elif len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        raise SystemExit(__doc__)
