"""Protocol version 1 (docs/protocol.md) in Python, with the standard library alone.

It shares no code with the TypeScript implementation: a second opinion on every vector, and a start for clients in Python. Its Ed25519 is the reference
algorithm of RFC 8032: exact, slow (a few milliseconds for each signature) and not constant-time. Sign with a library in a product.
"""

import base64
import hashlib
import hmac
import json
import re
from decimal import Decimal
from fractions import Fraction

MAX_SAFE = 2**53 - 1
MAX_DEPTH = 32
MAX_TRANSACTIONS = 100_000
MAX_THRESHOLD = 500


class Refused(Exception):
    """Something that the protocol does not accept."""


def check(condition, reason):
    if not condition:
        raise Refused(reason)


def sha256(data):
    return hashlib.sha256(data).digest()


def sha256_hex(data):
    return hashlib.sha256(data).hexdigest()


# --- section 1: canonical bytes -------------------------------------------------------------------------------------

PRINTABLE = re.compile(r"[\x20-\x7e]*")


def _check_profile(value, depth=0):
    check(depth <= MAX_DEPTH, "nested too deep")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        check(PRINTABLE.fullmatch(value), "a character outside printable ASCII")
    elif isinstance(value, int):
        check(-MAX_SAFE <= value <= MAX_SAFE, "not a safe integer")
    elif isinstance(value, list):
        for item in value:
            _check_profile(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            check(isinstance(key, str), "a member name that is no string")
            _check_profile(key, depth)
            _check_profile(item, depth + 1)
    else:
        raise Refused(f"{type(value).__name__} has no canonical form")


def canonical(value):
    """The canonical bytes of a JSON value."""
    _check_profile(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def parse_canonical(data):
    """The value of canonical bytes; any other spelling is refused."""
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON in ASCII") from error
    check(canonical(value) == data, "not the canonical spelling")
    return value


def hash_object(value):
    return sha256_hex(canonical(value))


# --- section 1: decimals and other values ---------------------------------------------------------------------------

QUANTITY = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{0,5}[1-9])?")
IDENTIFIER = re.compile(r"[A-Za-z0-9._:@+-]{1,64}")
HEX = re.compile(r"[0-9a-f]*")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def quantity(text):
    """Micro-units of a quantity."""
    check(isinstance(text, str) and QUANTITY.fullmatch(text), f"not a quantity: {text!r}")
    whole, _, fraction = text.partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))


def delta(text):
    """Micro-units of a signed quantity."""
    check(isinstance(text, str) and text != "-0", f"not a delta: {text!r}")
    return -quantity(text[1:]) if text.startswith("-") else quantity(text)


def edge_number(value):
    """At the edge a JSON number below 2^33 becomes its shortest decimal string."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    check(abs(value) < 2**33 and str(value) != "-0.0", "not an exact number")
    text = format(Decimal(repr(value)), "f")
    return re.sub(r"\.0+$", "", text)


def edge_quantity(value):
    text = edge_number(value)
    quantity(text)
    return text


def edge_delta(value):
    text = edge_number(value)
    delta(text)
    return text


def edge_identifier(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_SAFE:
        value = str(value)
    identifier(value)
    return value.lower() if UUID.fullmatch(value) else value


def total_matches(kwh, price, total, decimals):
    difference = Fraction(total, 10**6) - Fraction(kwh, 10**6) * Fraction(price, 10**6)
    return abs(difference) <= Fraction(1, 2 * 10**decimals)


def rounded_total(kwh, price, decimals):
    """kwh x price in micro-units, rounded half to even (which is what Python's round() of a Fraction does)."""
    return round(Fraction(kwh * price, 10**12) * 10**decimals) * 10 ** (6 - decimals)


# The largest quantity: 12 digits before the point, 6 after it.
MAX_MICRO = 10**18 - 1


def format_micro(micro):
    whole, fraction = divmod(micro, 1_000_000)
    return f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")


def identifier(value):
    check(isinstance(value, str) and IDENTIFIER.fullmatch(value), f"not an identifier: {value!r}")


def hex_of(length):
    def shape(value):
        check(isinstance(value, str) and len(value) == 2 * length and HEX.fullmatch(value), f"not {length} bytes in hex")

    return shape


def integer(low=0, high=MAX_SAFE):
    def shape(value):
        check(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high, f"not an integer: {value!r}")

    return shape


def one_of(*options):
    def shape(value):
        check(not isinstance(value, bool) and value in options, f"not one of {options}")

    return shape


def matching(pattern):
    compiled = re.compile(pattern)

    def shape(value):
        check(isinstance(value, str) and compiled.fullmatch(value), f"does not match {pattern}")

    return shape


def nullable(shape):
    return lambda value: None if value is None else shape(value)


def list_of(shape, most):
    def check_list(value):
        check(isinstance(value, list) and len(value) <= most, "not a list of this length")
        for item in value:
            shape(item)

    return check_list


def fields(value, required, optional=None):
    """Checks an object that has exactly these fields."""
    check(isinstance(value, dict), "not an object")
    optional = optional or {}
    for name in value:
        check(name in required or name in optional, f"unknown field {name}")
    for name, shape in required.items():
        check(name in value, f"no field {name}")
        shape(value[name])
    for name, shape in optional.items():
        if name in value:
            shape(value[name])


hash32 = hex_of(32)
key32 = hex_of(32)
signature64 = hex_of(64)
nonce16 = hex_of(16)

# --- section 1: Ed25519, RFC 8032 strict ----------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(scalar, point):
    result = IDENTITY
    while scalar > 0:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def _decode_point(data):
    """RFC 8032 5.1.3; canonical encodings only."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    check(y < P, "y is not below p")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        check(sign == 0, "x = 0 with a sign")
        return (0, y, 1, 0)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * SQRT_MINUS_1 % P
    check((x * x - square) % P == 0, "not a point of the curve")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _encode_point(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = _decode_point(_BASE_Y.to_bytes(32, "little"))


def import_key(hex_key):
    """A public key as a point. Refuses what is not canonical or of small order."""
    key32(hex_key)
    point = _decode_point(bytes.fromhex(hex_key))
    check(not _equal(_times(8, point), IDENTITY), "a key of small order")
    return point


def ed25519_verify(hex_key, message, signature):
    """True, False, or Refused for a key that can sign nothing."""
    point = import_key(hex_key)
    if len(signature) != 64:
        return False
    encoded_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    try:
        r = _decode_point(encoded_r)
    except Refused:
        return False
    k = int.from_bytes(hashlib.sha512(encoded_r + bytes.fromhex(hex_key) + message).digest(), "little") % L
    return _equal(_times(8 * s, BASE), _times(8, _add(r, _times(k, point))))


def _expand(secret):
    digest = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return scalar, digest[32:]


def public_key_of(secret):
    return _encode_point(_times(_expand(secret)[0], BASE)).hex()


def ed25519_sign(secret, message):
    scalar, prefix = _expand(secret)
    key = _encode_point(_times(scalar, BASE))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    encoded_r = _encode_point(_times(r, BASE))
    k = int.from_bytes(hashlib.sha512(encoded_r + key + message).digest(), "little") % L
    return encoded_r + ((r + k * scalar) % L).to_bytes(32, "little")


def signing_bytes(kind, chain_id, body):
    return f"solar-node/v1/{kind}\n{chain_id}\n".encode() + canonical(body)


def verify_object(kind, chain_id, body, signature, hex_key):
    signature64(signature)
    return ed25519_verify(hex_key, signing_bytes(kind, chain_id, body), bytes.fromhex(signature))


def sign_object(kind, chain_id, body, secret):
    return ed25519_sign(secret, signing_bytes(kind, chain_id, body)).hex()


def without(value, *names):
    return {name: item for name, item in value.items() if name not in names}


# --- section 2: genesis ---------------------------------------------------------------------------------------------


def _check_finality(value):
    check(isinstance(value, dict), "finality is no object")
    if value.get("policy") == "authority":
        fields(value, {"policy": one_of("authority")})
    else:
        fields(value, {"policy": one_of("votes", "validators"), "threshold": integer(1, MAX_THRESHOLD)})


GENESIS_ENTRY = {
    "id": identifier,
    "role": one_of("authority", "validator", "voter"),
    "public_key": key32,
    "recovery_key": nullable(key32),
}
GENESIS = {
    "version": integer(1, 1),
    "name": matching(r"[\x20-\x7e]{1,100}"),
    "origin": matching(r"[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"),
    "created_at": integer(),
    "currency": matching(r"[A-Za-z0-9]{1,12}"),
    "amount_decimals": integer(0, 6),
    "seal": one_of("authority", "work"),
    "difficulty": integer(0, 64),
    "finality": _check_finality,
    "registry": list_of(lambda entry: fields(entry, GENESIS_ENTRY), 1000),
}


def check_genesis(genesis):
    fields(genesis, GENESIS)
    check((genesis["seal"] == "authority") == (genesis["difficulty"] == 0), "difficulty does not go with the seal")
    entries = genesis["registry"]
    check(any(entry["role"] == "authority" for entry in entries), "no authority")
    check(len({entry["id"] for entry in entries}) == len(entries), "an id is there twice")
    keys = [key for entry in entries for key in (entry["public_key"], entry["recovery_key"]) if key is not None]
    check(len(set(keys)) == len(keys), "a key is there twice")
    for key in keys:
        import_key(key)
    return genesis


def chain_id_of(genesis):
    return hash_object(genesis)


# --- section 3: pseudonyms and recipients ---------------------------------------------------------------------------


def keyed(secret, kind, chain_id, text):
    message = f"solar-node/v1/{kind}\n{chain_id}\n{text}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def pseudonym_of(secret, chain_id, user_id):
    """What a user is called on the chain of a pseudonymous ledger."""
    identifier(user_id)
    return f"u-{keyed(secret, 'pseudonym', chain_id, user_id)[:32]}"


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _bech32_checksum(prefix, values):
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = 1
    for value in expanded + values + [0] * 6:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> i & 1 else 0
    return [(checksum ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]


def bech32(prefix, data):
    """BIP 173, without its limit of 90 characters."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[i : i + 5], 2) for i in range(0, len(bits), 5)]
    return f"{prefix}1" + "".join(BECH32[value] for value in values + _bech32_checksum(prefix, values))


def recipient_of(hex_key):
    """The recipient of age for whoever holds this Ed25519 key: the same point on the Montgomery curve (RFC 7748, 4.1)."""
    y = import_key(hex_key)[1]
    u = (1 + y) * pow(1 - y, P - 2, P) % P
    return bech32("age", u.to_bytes(32, "little"))


# --- section 3: transactions and the block tree ---------------------------------------------------------------------

TRADE = {
    "kind": one_of("trade"),
    "id": identifier,
    "from_user_id": identifier,
    "to_user_id": identifier,
    "kwh": quantity,
    "price_per_kwh": quantity,
    "total_amount": quantity,
    "timestamp": integer(),
    "tick_id": identifier,
    "nonce": nonce16,
}
CORRECTION = {
    "kind": one_of("correction"),
    "id": identifier,
    "corrects": identifier,
    "kwh_delta": delta,
    "amount_delta": delta,
    "reason": matching(r"[\x20-\x7e]{1,200}"),
    "timestamp": integer(),
    "tick_id": identifier,
    "nonce": nonce16,
}


MAX_PAYLOAD_BYTES = 4096
MAX_PAYLOADS_PER_BLOCK = 16 * 1024 * 1024


def payload(text):
    """An age file in base64 with padding, in its one spelling."""
    check(isinstance(text, str) and len(text) <= 4 * -(-MAX_PAYLOAD_BYTES // 3), "not a payload")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("not base64") from error
    check(base64.b64encode(data).decode() == text, "another spelling of base64")
    first, rest = b"age-encryption.org/v1\n", 2
    check(data.startswith(first) and len(first) + rest <= len(data) <= MAX_PAYLOAD_BYTES, "not an age file")


def check_transaction(tx, amount_decimals):
    check(isinstance(tx, dict), "not an object")
    if tx.get("kind") == "correction":
        fields(tx, CORRECTION)
        check(delta(tx["kwh_delta"]) != 0 or delta(tx["amount_delta"]) != 0, "corrects nothing")
        check(tx["corrects"] != tx["id"], "corrects itself")
        return
    fields(tx, TRADE, {"payload": payload})
    check(tx["from_user_id"] != tx["to_user_id"], "a trade with oneself")
    kwh, price, total = (quantity(tx[name]) for name in ("kwh", "price_per_kwh", "total_amount"))
    check(kwh > 0, "no energy")
    check(total_matches(kwh, price, total, amount_decimals), "the total is not kwh x price")


def merkle_root(hashes):
    """Root of the block tree over transaction hashes (hex)."""
    if not hashes:
        return sha256_hex(b"")
    layer = [bytes.fromhex(item) for item in hashes]
    while len(layer) > 1:
        if len(layer) % 2 == 1:
            layer.append(layer[-1])
        layer = [sha256(layer[i] + layer[i + 1]) for i in range(0, len(layer), 2)]
    return layer[0].hex()


MERKLE_PROOF = {
    "index": integer(0, MAX_TRANSACTIONS - 1),
    "tx_count": integer(1, MAX_TRANSACTIONS),
    "path": list_of(hash32, 17),
}


def check_merkle_proof(leaf, proof, header):
    fields(proof, MERKLE_PROOF)
    i, n = proof["index"], proof["tx_count"]
    check(n == header["tx_count"] and i < n, "not a position of this block")
    h, path = bytes.fromhex(leaf), list(proof["path"])
    while n > 1:
        check(path, "the path is too short")
        s = bytes.fromhex(path.pop(0))
        if i == n - 1 and n % 2 == 1:
            check(s == h, "the last node of an odd layer is paired with itself")
        h = sha256(s + h) if i % 2 == 1 else sha256(h + s)
        i //= 2
        n = (n + 1) // 2
    check(not path, "the path is too long")
    check(h.hex() == header["merkle_root"], "another root")


# --- section 4: headers ---------------------------------------------------------------------------------------------

HEADER = {
    "version": integer(1, 1),
    "chain_id": hash32,
    "height": integer(),
    "prev_hash": hash32,
    "merkle_root": hash32,
    "tx_count": integer(0, MAX_TRANSACTIONS),
    "history_root": hash32,
    "registry_root": hash32,
    "timestamp": integer(),
    "nonce": integer(),
    "difficulty": integer(0, 64),
    "miner_id": identifier,
}


def check_link(header, parent, genesis):
    """Is `header` a successor of `parent` (None: of the genesis)?"""
    fields(header, HEADER)
    chain_id = chain_id_of(genesis)
    check(header["chain_id"] == chain_id, "another chain")
    check(header["height"] == (0 if parent is None else parent["height"] + 1), "wrong height")
    check(header["prev_hash"] == (chain_id if parent is None else hash_object(parent)), "wrong parent")
    check(header["timestamp"] >= (genesis["created_at"] if parent is None else parent["timestamp"]), "time runs backwards")
    check(header["difficulty"] == genesis["difficulty"], "not the difficulty of the genesis")
    check(genesis["seal"] == "work" or header["nonce"] == 0, "a nonce without work")
    check(hash_object(header).startswith("0" * header["difficulty"]), "too little work")


def smallest_nonce(header):
    nonce = 0
    while not hash_object({**header, "nonce": nonce}).startswith("0" * header["difficulty"]):
        nonce += 1
    return nonce


def check_seal(sealed, hex_key):
    fields(sealed, {"header": lambda header: fields(header, HEADER), "signature": signature64})
    header = sealed["header"]
    check(verify_object("header", header["chain_id"], header, sealed["signature"], hex_key), "not sealed by this key")


REDACTED = {"kind": one_of("redacted"), "tx_hash": hash32}


def is_redacted(tx):
    """A body that was removed; its hash stands for it."""
    if not isinstance(tx, dict) or tx.get("kind") != "redacted":
        return False
    fields(tx, REDACTED)
    return True


def check_block_body(header, transactions, genesis):
    check(len(transactions) == header["tx_count"], "wrong number of transactions")
    bodies = [tx for tx in transactions if not is_redacted(tx)]
    check(sum(len(tx.get("payload", "")) for tx in bodies) <= MAX_PAYLOADS_PER_BLOCK, "payloads too large")
    for tx in bodies:
        check_any_transaction(tx, genesis["amount_decimals"])
        is_change = tx["kind"] == "registry"
        check(is_change == (bodies[0]["kind"] == "registry") and not (is_change and len(bodies) < len(transactions)), "a change beside something else")
        if tx["kind"] == "registry":
            age = header["timestamp"] - tx["timestamp"]
            check(0 <= age <= REGISTRY_VALIDITY_MS, "a change of another time")
        check(tx["tick_id"] == bodies[0]["tick_id"], "transactions of several ticks")
    hashes = [tx["tx_hash"] if is_redacted(tx) else hash_object(tx) for tx in transactions]
    check(len(set(hashes)) == len(hashes), "two equal transactions")
    check(merkle_root(hashes) == header["merkle_root"], "another root")


# --- section 4: history, section 5: registry ------------------------------------------------------------------------


def leaf_hash(data):
    return sha256(b"\x00" + data)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def tree_root(leaves):
    """RFC 9162 2.1.1 over leaf data."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(tree_root(leaves[:k]), tree_root(leaves[k:]))


def history_root(header_hashes):
    return tree_root([bytes.fromhex(item) for item in header_hashes]).hex()


def check_inclusion(data, proof, root):
    """RFC 9162 2.1.3.2 for leaf data."""
    fields(proof, {"leaf_index": integer(), "tree_size": integer(1), "path": list_of(hash32, 64)})
    fn, sn = proof["leaf_index"], proof["tree_size"] - 1
    check(fn <= sn, "not a leaf of this tree")
    r = leaf_hash(data)
    for item in proof["path"]:
        p = bytes.fromhex(item)
        check(sn != 0, "the path is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    check(sn == 0, "the path is too short")
    check(r.hex() == root, "another root")


def check_consistency(proof, from_root, to_root):
    """RFC 9162 2.1.4.2."""
    fields(proof, {"from": integer(1), "to": integer(1), "path": list_of(hash32, 64)})
    first, second = proof["from"], proof["to"]
    check(first <= second, "the older tree is larger")
    path = [bytes.fromhex(item) for item in proof["path"]]
    if first == second:
        check(not path and from_root == to_root, "equal sizes have one root and need no path")
        return
    if first & (first - 1) == 0:
        path.insert(0, bytes.fromhex(from_root))
    check(path, "no path")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        check(sn != 0, "the path is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    check(sn == 0, "the path is too short")
    check(fr.hex() == from_root and sr.hex() == to_root, "another root")


def registry_leaves(genesis):
    """The leaves of the registry as the genesis makes it."""
    leaves = [{"finality": genesis["finality"], "since_height": 0}]
    for slot, entry in enumerate(genesis["registry"]):
        leaves.append({"slot": slot, **entry, "status": "active", "since_height": 0})
    return leaves


def registry_root(genesis):
    return tree_root([canonical(leaf) for leaf in registry_leaves(genesis)]).hex()


# --- votes, orders, requests ----------------------------------------------------------------------------------------

VOTE = {
    "chain_id": hash32,
    "header_hash": hash32,
    "height": integer(),
    "voter_id": identifier,
    "decision": one_of("ack", "reject"),
    "signature": signature64,
}


def check_vote(vote, chain_id, target, entry):
    fields(vote, VOTE)
    check(vote["chain_id"] == chain_id, "another chain")
    check(vote["header_hash"] == target["hash"] and vote["height"] == target["height"], "another header")
    check(entry is not None and entry["id"] == vote["voter_id"] and entry["status"] == "active", "not a voter")
    check(verify_object("vote", chain_id, without(vote, "signature"), vote["signature"], entry["public_key"]), "bad signature")


def sign_vote(body, secret):
    return {**body, "signature": sign_object("vote", body["chain_id"], body, secret)}


ORDER = {
    "order_id": identifier,
    "user_id": identifier,
    "side": one_of("buy", "sell"),
    "kwh": quantity,
    "price_per_kwh": quantity,
    "timestamp": integer(),
    "signature": signature64,
}


def check_order(order, chain_id, hex_key):
    fields(order, ORDER, {"valid_until": integer()})
    check(verify_object("order", chain_id, without(order, "signature"), order["signature"], hex_key), "bad signature")


_REQUEST = {
    "path": matching(r"[\x21-\x7e]{1,2000}"),
    "timestamp": integer(),
    "id": nonce16,
}
_PEER_ID = matching(r"[A-Za-z0-9._-]{1,128}")
HTTP_REQUEST = {**_REQUEST, "method": one_of("GET", "DELETE"), "to": matching(r"https?://[a-z0-9.:_\[\]-]{1,255}")}
PEER_REQUEST = {**_REQUEST, "method": one_of("P2P"), "from": _PEER_ID, "to": _PEER_ID}
_SIGNED = {"voter_id": identifier, "signature": signature64}
_PARAMETERS = ("voter_id", "to", "timestamp", "id", "signature")


def _check_signed(credential, now, chain_id, hex_key):
    check(abs(now - credential["timestamp"]) <= 60_000, "not within 60 s")
    body = without(without(credential, "voter_id"), "signature")
    check(verify_object("request", chain_id, body, credential["signature"], hex_key), "bad signature")


def check_request(authorization, method, path, origins, chain_id, hex_key, now):
    scheme, _, parameters = authorization.partition(" ")
    check(scheme == "Solar", "another scheme")
    found = [re.fullmatch(r' *([a-z_]{1,20})="([^"\\]{1,300})" *', part, re.ASCII) for part in parameters.split(",")]
    check(all(found) and sorted(m[1] for m in found) == sorted(_PARAMETERS), "not each parameter once")
    given = {m[1]: m[2] for m in found}
    check(re.fullmatch(r"0|[1-9][0-9]{0,15}", given["timestamp"], re.ASCII), "no timestamp")
    credential = {"method": method, "path": path, **given, "timestamp": int(given["timestamp"])}
    fields(credential, {**HTTP_REQUEST, **_SIGNED})
    check(credential["to"] in origins, "for another node")
    _check_signed(credential, now, chain_id, hex_key)
    return credential["voter_id"]


def authorization_of(voter_id, path, to, timestamp, request_id, chain_id, secret):
    """The header of a GET of `path` at the origin `to`."""
    body = {"id": request_id, "method": "GET", "path": path, "timestamp": timestamp, "to": to}
    signed = {**body, "voter_id": voter_id, "signature": sign_object("request", chain_id, body, secret)}
    return "Solar " + ", ".join(f'{name}="{signed[name]}"' for name in _PARAMETERS)


def check_peer_request(credential, path, asking, answering, chain_id, hex_key, now):
    fields(credential, {**PEER_REQUEST, **_SIGNED})
    check(credential["path"] == path, "for another request")
    check(credential["from"] == asking and credential["to"] == answering, "for another connection")
    _check_signed(credential, now, chain_id, hex_key)


MEMBERSHIP = {
    "chain_id": hash32,
    "voter_id": identifier,
    "user_id": identifier,
    "issued_at": integer(),
    "expires_at": integer(),
    "issuer": identifier,
    "signature": signature64,
}


def check_membership(membership, chain_id, voter_id, keys, now):
    fields(membership, MEMBERSHIP)
    check(membership["chain_id"] == chain_id and membership["voter_id"] == voter_id, "not of this voter")
    check(membership["expires_at"] - membership["issued_at"] <= 90 * 24 * 3_600_000, "for more than 90 days")
    check(membership["issued_at"] <= now + 120_000 and now < membership["expires_at"], "not valid now")
    body = without(membership, "signature")
    counting = [key["public_key"] for key in keys if key["until"] is None or membership["issued_at"] <= key["until"]]
    check(any(verify_object("member", chain_id, body, membership["signature"], key) for key in counting), "bad signature")


# --- section 6: registry transactions and proofs --------------------------------------------------------------------

REGISTRY_VALIDITY_MS = 24 * 3600 * 1000

_REGISTRY_COMMON = {
    "kind": one_of("registry"),
    "id": identifier,
    "subject_id": identifier,
    "timestamp": integer(),
    "tick_id": identifier,
    "nonce": nonce16,
    "signature": signature64,
}
_ROLE = one_of("authority", "validator", "voter")
_COUNTERSIGNED = {"countersigner_id": identifier, "countersignature": signature64}
_REGISTRY_ACTIONS = {
    "enrol": ({"role": _ROLE, "public_key": key32}, {"recovery_key": nullable(key32), **_COUNTERSIGNED}),
    "rotate": ({"public_key": key32}, {"recovery_key": nullable(key32)}),
    "revoke": ({}, {}),
    "recover": ({"public_key": key32}, {"recovery_key": nullable(key32), **_COUNTERSIGNED}),
    "policy": ({"finality": _check_finality}, {}),
}


def check_registry_transaction(tx):
    check(isinstance(tx, dict) and tx.get("action") in _REGISTRY_ACTIONS, "no registry action")
    required, optional = _REGISTRY_ACTIONS[tx["action"]]
    fields(tx, {**_REGISTRY_COMMON, "action": one_of(tx["action"]), **required}, optional)
    check(("countersigner_id" in tx) == ("countersignature" in tx), "half a countersignature")
    check(tx["tick_id"] == f"registry:{tx['nonce']}", "its tick is its own")


def is_change_signed(tx, chain_id, key):
    """By its subject, or whoever else may sign it: that covers neither the tick nor what an authority has added."""
    body = without(tx, "signature", "tick_id", *_COUNTERSIGNED)
    return verify_object(tx["action"], chain_id, body, tx["signature"], key)


def check_any_transaction(tx, amount_decimals):
    if isinstance(tx, dict) and tx.get("kind") == "registry":
        check_registry_transaction(tx)
    else:
        check_transaction(tx, amount_decimals)


REGISTRY_ENTRY = {
    "slot": integer(),
    "id": identifier,
    "role": _ROLE,
    "public_key": key32,
    "recovery_key": nullable(key32),
    "status": one_of("active", "revoked"),
    "since_height": integer(),
}
REVOKED_BY = {"revoked_by": identifier}
POLICY = {"finality": _check_finality, "since_height": integer()}


def check_entry(entry, proof, root):
    """Is the entry under this registry_root, at the leaf of its slot?"""
    fields(entry, REGISTRY_ENTRY, REVOKED_BY)
    check(proof["leaf_index"] == entry["slot"] + 1, "not the leaf of its slot")
    check_inclusion(canonical(entry), proof, root)


def check_policy(policy, proof, root):
    fields(policy, POLICY)
    check(proof["leaf_index"] == 0, "the policy is leaf 0")
    check_inclusion(canonical(policy), proof, root)


def check_holder(entry, proof, root, wanted_id, role):
    check_entry(entry, proof, root)
    check((entry["id"], entry["role"], entry["status"]) == (wanted_id, role, "active"), f"no active {role} {wanted_id}")


# --- sections 3, 4 and 6: whole chains ------------------------------------------------------------------------------

MAX_CORRECTIONS = 1_000


class Chain:
    """What the next block of a chain is checked against. Bodies that were removed are {"kind": "redacted", "tx_hash"}."""

    def __init__(self, genesis):
        self.genesis, self.chain_id = genesis, chain_id_of(genesis)
        self.headers, self.hashes = [], []
        self.registry = registry_leaves(genesis)
        self.keys = {key for entry in genesis["registry"] for key in (entry["public_key"], entry["recovery_key"]) if key}
        self.ids, self.ticks, self.trades, self.has_holes = set(), set(), {}, False

    def take(self, block, is_final):
        """Checks the next block by every rule but the clock, and goes on with it."""
        header, transactions = block["header"], block["transactions"]
        bodies = [tx for tx in transactions if tx["kind"] != "redacted"]
        check_link(header, self.headers[-1] if self.headers else None, self.genesis)
        check(header["history_root"] == history_root(self.hashes), "another history")
        sealer = self._sealing_key(header["miner_id"], transactions)
        registry, keys = self._registry_after(bodies, header["height"])
        root = tree_root([canonical(leaf) for leaf in registry]).hex()
        check(header["registry_root"] == root, "another registry")
        check_block_body(header, transactions, self.genesis)
        check_seal({"header": header, "signature": block["signature"]}, sealer)
        check(not bodies or bodies[0]["tick_id"] not in self.ticks, "a tick that is sealed already")
        ids = [tx["id"] for tx in bodies]
        check(len(set(ids)) == len(ids) and not self.ids & set(ids), "an id that is there already")
        trades = self._trades_after(bodies, is_final)
        self.headers.append(header)
        self.hashes.append(hash_object(header))
        self.registry, self.keys, self.trades = registry, keys, trades
        self.ids |= set(ids)
        self.ticks |= {tx["tick_id"] for tx in bodies}
        self.has_holes = self.has_holes or len(bodies) < len(transactions)

    def _sealing_key(self, miner_id, transactions):
        entry = next((leaf for leaf in self.registry[1:] if leaf["id"] == miner_id), None)
        check(entry is not None and entry["role"] == "authority", "no authority")
        first = transactions[0] if transactions else {}
        if first.get("action") == "recover" and first["subject_id"] == miner_id:
            check("revoked_by" not in entry, "a recovery that another authority seals")
            return first["public_key"]
        check(entry["status"] == "active", "no active authority")
        return entry["public_key"]

    def _registry_after(self, bodies, height):
        before, leaves, keys = self.registry, list(self.registry), set(self.keys)
        changes = [tx for tx in bodies if tx["kind"] == "registry"]
        for tx in changes:
            apply_change(leaves, keys, tx, self.chain_id, height)
        if changes:
            finality, now = leaves[0]["finality"], active_of(leaves)
            check(now["authority"] > 0, "no authority would be left")
            if finality["policy"] == "validators":
                threshold = finality["threshold"]
                check(threshold <= now["validator"] < 2 * threshold, "validators that are too few, or no majority")
            roles = {leaf["id"]: leaf["role"] for leaf in leaves[1:]}
            is_guarded = any(tx["action"] == "policy" or roles[tx["subject_id"]] != "voter" for tx in changes)
            if is_guarded and before[0]["finality"]["policy"] == "votes":
                enough = before[0]["finality"]["threshold"]
                check(active_of(before)["voter"] >= enough, "nobody could ever confirm it")
        return leaves, keys

    def _trades_after(self, bodies, is_final):
        """(kwh, amount, corrections) of each trade; corrections of what may be a removed body are taken of a final block alone."""
        trades = dict(self.trades)
        for tx in bodies:
            if tx["kind"] != "correction":
                continue
            trade = trades.get(tx["corrects"])
            if trade is None:
                is_known = tx["corrects"] in self.ids
                check(self.has_holes and is_final and not is_known, "a correction of no earlier trade")
                continue
            kwh, amount, count = trade[0] + delta(tx["kwh_delta"]), trade[1] + delta(tx["amount_delta"]), trade[2] + 1
            is_sum = 0 <= kwh <= MAX_MICRO and 0 <= amount <= MAX_MICRO and count <= MAX_CORRECTIONS
            check(is_sum or (self.has_holes and is_final), "what is left is no quantity")
            trades[tx["corrects"]] = (kwh, amount, count)
        for tx in bodies:
            if tx["kind"] == "trade":
                trades[tx["id"]] = (quantity(tx["kwh"]), quantity(tx["total_amount"]), 0)
        return trades


def active_of(leaves):
    """How many are active, by role."""
    roles = [leaf["role"] for leaf in leaves[1:] if leaf["status"] == "active"]
    return {role: roles.count(role) for role in ("authority", "validator", "voter")}


def apply_change(leaves, keys, tx, chain_id, height):
    """Checks a change of the registry against its leaves and every key that was ever registered, and makes it."""
    check_registry_transaction(tx)
    action = tx["action"]
    entry = next((leaf for leaf in leaves[1:] if leaf["id"] == tx["subject_id"]), None)
    is_active = entry is not None and entry["status"] == "active"

    authorities = [leaf for leaf in leaves[1:] if (leaf["role"], leaf["status"]) == ("authority", "active")]

    def is_signed(key):
        return key is not None and is_change_signed(tx, chain_id, key)

    def check_countersigned(is_needed):
        if "countersigner_id" not in tx:
            check(not is_needed, "no authority has countersigned it")
            return
        keys = [leaf["public_key"] for leaf in authorities if leaf["id"] == tx["countersigner_id"]]
        body = without(tx, "countersignature", "tick_id")
        signed = [key for key in keys if verify_object("countersign", chain_id, body, tx["countersignature"], key)]
        check(signed, "not countersigned by an active authority")

    if action == "policy":
        check(is_active and entry["role"] == "authority" and is_signed(entry["public_key"]), "not the word of an authority")
        leaves[0] = {"finality": tx["finality"], "since_height": height}
        return
    if action == "enrol":
        check(entry is None and is_signed(tx["public_key"]), "an id that is there, or not signed by its key")
        check_countersigned(tx["role"] != "voter")
        recovery = tx.get("recovery_key")
        fresh = [tx["public_key"], *([recovery] if recovery is not None else [])]
        new = {"slot": len(leaves) - 1, "id": tx["subject_id"], "role": tx["role"], "public_key": tx["public_key"]}
        leaf = {**new, "recovery_key": recovery, "status": "active", "since_height": height}
    elif action == "revoke":
        check(entry is not None, "nobody to revoke")
        revoker = next((leaf for leaf in [entry, *authorities] if is_signed(leaf["public_key"])), None)
        check(revoker is not None, "nobody who may revoke")
        fresh, leaf = [], {**entry, "status": "revoked", "since_height": height}
        is_later = entry["role"] == "authority" and revoker["slot"] > entry["slot"]
        is_binding = revoker["id"] != entry["id"] and not is_later
        check(is_active or (is_binding and "revoked_by" not in entry), "revoked already")
        if is_binding:
            leaf["revoked_by"] = revoker["id"]
    else:
        check(is_active if action == "rotate" else entry is not None, "nobody who could have another key")
        check(is_signed(entry["public_key" if action == "rotate" else "recovery_key"]), "not signed by the key that may")
        recovery = tx.get("recovery_key", entry["recovery_key"])
        if action == "recover":
            check_countersigned("revoked_by" in entry)
        elif recovery != entry["recovery_key"]:
            check(entry["recovery_key"] is None, "a rotation of a recovery key")
            check(entry["role"] != "authority" or len(authorities) == 1, "a first recovery key beside another authority")
        fresh = [tx["public_key"], *([recovery] if recovery not in (None, entry["recovery_key"]) else [])]
        changed = {"public_key": tx["public_key"], "recovery_key": recovery, "status": "active"}
        leaf = {**without(entry, "revoked_by"), **changed, "since_height": height}
    check(len(set(fresh)) == len(fresh) and not keys & set(fresh), "a key that was registered before")
    for key in fresh:
        import_key(key)
    keys.update(fresh)
    leaves[leaf["slot"] + 1 :] = [leaf, *leaves[leaf["slot"] + 2 :]]


# --- section 7: how trust moves on ----------------------------------------------------------------------------------


def check_in_history(header, proof, later):
    """Is the header in the history of the later one? No proof is needed for the header itself."""
    if header == later:
        return
    check(proof is not None, "no proof")
    check((proof["leaf_index"], proof["tree_size"]) == (header["height"], later["height"]), "a proof of another place")
    check_inclusion(bytes.fromhex(hash_object(header)), proof, later["history_root"])


def check_work(header, genesis):
    fields(header, HEADER)
    check(header["chain_id"] == chain_id_of(genesis), "another chain")
    check(header["difficulty"] == genesis["difficulty"], "not the difficulty of the genesis")
    check(genesis["seal"] == "work" or header["nonce"] == 0, "a nonce without work")
    check(hash_object(header).startswith("0" * header["difficulty"]), "too little work")


PROVEN_VOTE = {"vote": lambda vote: fields(vote, VOTE), "entry": lambda e: fields(e, REGISTRY_ENTRY), "registry_proof": lambda p: None}
BROUGHT_BY = {name: (lambda value: None) for name in ("transaction", "merkle_proof", "header", "history_proof")}
PROVEN_VOTE_OPTIONS = {
    "header": lambda header: fields(header, HEADER),
    "history_proof": lambda p: None,
    "trusted_proof": lambda p: None,
    "brought_by": lambda b: fields(b, BROUGHT_BY),
}


def is_there(value):
    check(value is not None, "null")


def check_policy_in_force(proven, trusted, parent):
    """The policy under the trusted root, and that the header before has it still."""
    check_policy(proven["policy"], proven["policy_proof"], trusted)
    if parent is not None and parent["registry_root"] != trusted:
        check("parent_policy_proof" in proven, "nothing shows that the policy is the same")
        check_policy(proven["policy"], proven["parent_policy_proof"], parent["registry_root"])


def check_parent(header, parent, chain_id):
    check((header["height"] == 0) == (parent is None), "a parent at height 0, or none above")
    check(header["prev_hash"] == (chain_id if parent is None else hash_object(parent)), "wrong parent")


def check_on_record(proven, header, trusted, chain_id):
    """The trusted root has this entry as well, or a block below the header has brought its key."""
    entry = proven["entry"]
    if "trusted_proof" in proven:
        check_entry(entry, proven["trusted_proof"], trusted)
        return
    check("brought_by" in proven and entry["role"] == "voter", "no block is shown in which the voter got its key")
    tx, block = proven["brought_by"]["transaction"], proven["brought_by"]["header"]
    check_registry_transaction(tx)
    check(tx["action"] in ("enrol", "rotate", "recover") and tx["subject_id"] == entry["id"], "not of this voter")
    check(tx["public_key"] == entry["public_key"], "it brought another key")
    if tx["action"] == "enrol":
        check(tx["role"] == entry["role"], "enrolled in another role")
        check(is_change_signed(tx, chain_id, entry["public_key"]), "not signed by the key")
    fields(block, HEADER)
    check(block["height"] == entry["since_height"] and block["height"] < header["height"], "another block")
    check_merkle_proof(hash_object(tx), proven["brought_by"]["merkle_proof"], block)
    check_in_history(block, proven["brought_by"]["history_proof"], header)


def count_acks(finality, header, votes, trusted, parent, chain_id):
    """Distinct acks of the header; a vote that does not hold is refused."""
    root = trusted if parent is None else parent["registry_root"]
    role = "voter" if finality["policy"] == "votes" else "validator"
    voters = set()
    for proven in votes:
        fields(proven, PROVEN_VOTE, PROVEN_VOTE_OPTIONS)
        on = proven.get("header", header)
        check(proven["vote"]["decision"] == "ack", "a rejecting vote")
        check("header" not in proven or on["height"] > header["height"], "not a later header")
        check_in_history(header, proven.get("history_proof"), on)
        check_holder(proven["entry"], proven["registry_proof"], root, proven["vote"]["voter_id"], role)
        if root != trusted:
            check_on_record(proven, header, trusted, chain_id)
        check_vote(proven["vote"], chain_id, {"hash": hash_object(on), "height": on["height"]}, proven["entry"])
        voters.add(proven["entry"]["id"])
    return len(voters)


_HANDOVER_PARTS = ("header", "signature", "entry", "registry_proof", "policy", "policy_proof", "history_proof")
VOTES = list_of(lambda value: None, MAX_THRESHOLD)
HANDOVER = {**{name: (lambda value: None) for name in _HANDOVER_PARTS}, "votes": VOTES}
RECOVERY = {name: (lambda value: None) for name in ("transaction", "merkle_proof", "entry", "registry_proof")}


def check_handover(handover, root, target, genesis):
    """A block below the target, or the target itself: then its votes may be left out, as they are counted for that."""
    options = {
        "recovery": lambda value: fields(value, RECOVERY),
        "parent_header": lambda h: fields(h, HEADER),
        "parent_policy_proof": is_there,
    }
    fields(handover, HANDOVER, options)
    header, chain_id, parent = handover["header"], chain_id_of(genesis), handover.get("parent_header")
    check_work(header, genesis)
    check_parent(header, parent, chain_id)
    check_in_history(header, handover["history_proof"], target)
    key = handover["entry"]["public_key"]
    check_entry(handover["entry"], handover["registry_proof"], root)
    check(handover["entry"]["id"] == header["miner_id"], "the entry of somebody else")
    if "recovery" in handover:
        key = check_recovery(handover["recovery"], header, root, chain_id)
    else:
        check_holder(handover["entry"], handover["registry_proof"], root, header["miner_id"], "authority")
    check_seal({"header": header, "signature": handover["signature"]}, key)
    check_policy_in_force(handover, root, parent)
    finality = handover["policy"]["finality"]
    if finality["policy"] != "authority" and (handover["votes"] or header != target):
        acks = count_acks(finality, header, handover["votes"], root, parent, chain_id)
        check(acks >= finality["threshold"], "a handover without its quorum")


def check_recovery(recovery, header, root, chain_id):
    """The key that a block brings which begins with the recovery of its own sealer."""
    tx, entry = recovery["transaction"], recovery["entry"]
    check_registry_transaction(tx)
    check(tx["action"] == "recover" and tx["subject_id"] == entry["id"] == header["miner_id"], "no recovery of the sealer")
    check(entry["role"] == "authority" and entry["recovery_key"] is not None, "no recovery key")
    check("revoked_by" not in entry, "a recovery that another authority seals")
    check_entry(entry, recovery["registry_proof"], root)
    check(recovery["merkle_proof"]["index"] == 0, "not the first transaction")
    check_merkle_proof(hash_object(tx), recovery["merkle_proof"], header)
    check(is_change_signed(tx, chain_id, entry["recovery_key"]), "not signed by the recovery key")
    return tx["public_key"]


def root_before(handovers, height, root):
    """The registry root of the last handover below a height."""
    below = [handover["header"]["registry_root"] for handover in handovers if handover["header"]["height"] < height]
    return below[-1] if below else root


def check_target(target, genesis, root):
    """Link, handovers and seal of a header that trust moves to from a registry root; the acks, and how many it needs."""
    header, parent, handovers = target["header"], target["parent_header"], target["handovers"]
    chain_id = chain_id_of(genesis)
    check_work(header, genesis)
    check_parent(header, parent, chain_id)
    trusted, last = root, -1
    for handover in handovers:
        check(handover["header"]["height"] > last, "handovers out of order")
        check_handover(handover, trusted, header, genesis)
        last = handover["header"]["height"]
        if last < header["height"]:
            trusted = handover["header"]["registry_root"]
    if last == header["height"]:
        check(handovers[-1]["signature"] == target["signature"], "another seal than the handover's")
        check_entry(target["entry"], target["registry_proof"], trusted)
        check(target["entry"]["id"] == header["miner_id"], "the entry of somebody else")
    else:
        check_holder(target["entry"], target["registry_proof"], trusted, header["miner_id"], "authority")
        check_seal({"header": header, "signature": target["signature"]}, target["entry"]["public_key"])
    check_policy_in_force(target, trusted, parent)
    finality = target["policy"]["finality"]
    if finality["policy"] == "authority":
        return 0, 0
    return count_acks(finality, header, target["votes"], trusted, parent, chain_id), finality["threshold"]


ANCHOR = ("header", "signature", "parent_header", "consistency", "inclusion", "frontier", "handovers", "entry",
          "registry_proof", "policy", "policy_proof", "votes")  # fmt: skip


def check_first_anchor(answer, genesis):
    """The answer to `anchor` with nothing but the genesis."""
    options = {"parent_policy_proof": is_there, "more": lambda value: check(value is True, "not true")}
    fields(answer, {**{name: (lambda value: None) for name in ANCHOR}, "votes": VOTES}, options)
    height = answer["header"]["height"]
    check(len(answer["frontier"]) == bin(height).count("1"), "not the frontier of this height")
    root = None
    for node in reversed(answer["frontier"]):
        hash32(node)
        root = bytes.fromhex(node) if root is None else node_hash(bytes.fromhex(node), root)
    check((sha256(b"") if root is None else root).hex() == answer["header"]["history_root"], "another history")
    acks, required = check_target(answer, genesis, registry_root(genesis))
    check(acks >= required, "no quorum")


# --- section 7: receipts --------------------------------------------------------------------------------------------

_ANY = lambda value: None  # noqa: E731  what is checked where it is used
_PLACED = {"transaction": _ANY, "merkle_proof": _ANY, "header": lambda h: fields(h, HEADER), "signature": signature64}
_SEALER = {
    "sealer": lambda s: fields(
        s, {"entry": lambda e: fields(e, REGISTRY_ENTRY), "registry_proof": _ANY}, {"parent_header": lambda h: fields(h, HEADER)}
    )
}
RECEIPT = {
    "version": integer(1, 1), "genesis": _ANY, **_PLACED, "parent_header": nullable(lambda h: fields(h, HEADER)),
    "handovers": list_of(_ANY, 4000), "entry": lambda e: fields(e, REGISTRY_ENTRY), "registry_proof": _ANY,
    "policy": lambda p: fields(p, POLICY), "policy_proof": _ANY, "votes": list_of(_ANY, MAX_THRESHOLD),
}  # fmt: skip
RECEIPT_OPTIONS = {
    **_SEALER,
    "parent_policy_proof": is_there,
    "anchor": lambda a: fields(
        a, {"header": lambda h: fields(h, HEADER), "signature": signature64, "parent_header": lambda h: fields(h, HEADER), "history_proof": _ANY}
    ),
    "corrections": list_of(lambda c: fields(c, {**_PLACED, "history_proof": _ANY}, _SEALER), 1000),
    "checkpoint": lambda c: fields(c, {"note": _ANY, "history_proof": _ANY}),
}


def registry_proof_of(genesis, index):
    """The proof that a receipt leaves out: of a leaf of the registry as the genesis makes it."""
    leaves = [canonical(leaf) for leaf in registry_leaves(genesis)]

    def path(m, data):
        if len(data) == 1:
            return []
        k = 1
        while k * 2 < len(data):
            k *= 2
        if m < k:
            return path(m, data[:k]) + [tree_root(data[k:]).hex()]
        return path(m - k, data[k:]) + [tree_root(data[:k]).hex()]

    check(index < len(leaves), "not in the genesis")
    return {"leaf_index": index, "tree_size": len(leaves), "path": path(index, leaves)}


def completed(proven, genesis):
    if proven["registry_proof"] is not None:
        return proven
    return {**proven, "registry_proof": registry_proof_of(genesis, proven["entry"]["slot"] + 1)}


def completed_vote(proven, genesis):
    """What brought its voter is left out where the genesis has the entry as it is."""
    index = proven["entry"]["slot"] + 1
    if "trusted_proof" in proven or "brought_by" in proven or index > len(genesis["registry"]):
        return completed(proven, genesis)
    return {**completed(proven, genesis), "trusted_proof": registry_proof_of(genesis, index)}


def check_receipt(receipt, chain_id, witnesses=()):
    """Checks a receipt offline. Gives back its status, what corrections leave of a trade, and who cosigned."""
    check(isinstance(receipt, dict), "not an object")
    fields(receipt, RECEIPT, RECEIPT_OPTIONS)
    genesis = check_genesis(receipt["genesis"])
    check(chain_id_of(genesis) == chain_id, "another chain")
    root, anchor = registry_root(genesis), receipt.get("anchor")
    check(anchor is None or receipt["parent_header"] is None, "a parent beside an anchor")
    target = {**completed(receipt, genesis), **({} if anchor is None else anchor)}
    target["policy_proof"] = receipt["policy_proof"] or registry_proof_of(genesis, 0)
    target["votes"] = [completed_vote(vote, genesis) for vote in receipt["votes"]]
    if anchor is not None:
        check(anchor["header"]["height"] > receipt["header"]["height"], "an anchor below the block")
    check_place(receipt, None if anchor is None else anchor["history_proof"], target, genesis)
    acks, required = check_target(target, genesis, root)
    check(required > 0 or not receipt["votes"], "votes that decide nothing")
    check_block_seal(receipt, target, genesis)
    return {
        "status": "final" if acks >= required else "sealed",
        "net": net_of(receipt, target, genesis),
        "witnesses": cosigners_of(receipt, target, genesis, witnesses),
    }


def check_place(placed, history_proof, target, genesis):
    check_any_transaction(placed["transaction"], genesis["amount_decimals"])
    check_merkle_proof(hash_object(placed["transaction"]), placed["merkle_proof"], placed["header"])
    check_in_history(placed["header"], history_proof, target["header"])


def check_block_seal(sealed, target, genesis):
    header = sealed["header"]
    known = [one for one in [target, *target["handovers"]] if one["header"] == header]
    if known:
        check("sealer" not in sealed and sealed["signature"] == known[0]["signature"], "another seal")
        return
    sealer = completed(sealed["sealer"], genesis) if "sealer" in sealed else without(target, "parent_header")
    check(header["chain_id"] == chain_id_of(genesis), "another chain")
    if "parent_header" in sealer:
        # The block is in the history of the target, and so is the header that it follows.
        parent = sealer["parent_header"]
        check(header["prev_hash"] == hash_object(parent) and parent["height"] == header["height"] - 1, "not the header before")
        root = parent["registry_root"]
    else:
        root = root_before(target["handovers"], header["height"], registry_root(genesis))
    check_holder(sealer["entry"], sealer["registry_proof"], root, header["miner_id"], "authority")
    check_seal({"header": header, "signature": sealed["signature"]}, sealer["entry"]["public_key"])


def net_of(receipt, target, genesis):
    trade, corrections = receipt["transaction"], receipt.get("corrections", [])
    if trade["kind"] != "trade":
        check(not corrections, "corrections of what is no trade")
        return None
    kwh, amount = quantity(trade["kwh"]), quantity(trade["total_amount"])
    last = (receipt["header"]["height"], receipt["merkle_proof"]["index"])
    for correction in corrections:
        tx = correction["transaction"]
        check(isinstance(tx, dict) and tx.get("kind") == "correction" and tx.get("corrects") == trade["id"], "no correction of this trade")
        check_place(correction, correction["history_proof"], target, genesis)
        place = (correction["header"]["height"], correction["merkle_proof"]["index"])
        check(place > last, "corrections out of order")
        check_block_seal(correction, target, genesis)
        kwh, amount, last = kwh + delta(tx["kwh_delta"]), amount + delta(tx["amount_delta"]), place
        check(0 <= kwh <= MAX_MICRO and 0 <= amount <= MAX_MICRO, "what is left is no quantity")
    return {"kwh": format_micro(kwh), "total_amount": format_micro(amount)}


def cosigners_of(receipt, target, genesis, witnesses):
    if "checkpoint" not in receipt:
        return []
    checkpoint, header = receipt["checkpoint"], receipt["header"]
    check(isinstance(checkpoint["note"], str), "no note")
    note = parse_note(decode_base64(checkpoint["note"]))
    tree, cosigners = check_checkpoint(note, genesis["origin"], target["entry"]["public_key"], witnesses)
    proof = checkpoint["history_proof"]
    check_inclusion(bytes.fromhex(hash_object(header)), proof, tree["root"])
    check((proof["leaf_index"], proof["tree_size"]) == (header["height"], tree["size"]), "a proof of another place")
    return cosigners


# --- section 5: evidence ---------------------------------------------------------------------------------------------

_SEALED = {"header": lambda h: fields(h, HEADER), "signature": signature64}


def check_evidence(evidence, genesis, chain_id, trusted_root=None):
    """Two signed statements of one key that exclude each other, and whose key it is."""
    check(isinstance(evidence, dict) and evidence.get("kind") in ("double-seal", "double-vote"), "no evidence")
    seals = evidence["kind"] == "double-seal"
    shape = (lambda s: fields(s, _SEALED)) if seals else (lambda v: fields(v, VOTE))
    fields(evidence, {"kind": one_of(evidence["kind"]), "a": shape, "b": shape, "proof": _ANY})
    proof, statements = evidence["proof"], []
    fields(proof, {"entry": lambda e: fields(e, REGISTRY_ENTRY), "registry_proof": _ANY, "header": nullable(lambda s: fields(s, _SEALED))})
    for one in (evidence["a"], evidence["b"]):
        body = one["header"] if seals else one
        statements.append((hash_object(body) if seals else body["header_hash"], body["height"], body["miner_id" if seals else "voter_id"]))
        check(body["chain_id"] == chain_id, "another chain")
        check(seals or body["decision"] == "ack", "rejects may be as many as there are headers")
    (a, height, signer), (b, other_height, other_signer) = statements
    entry = proof["entry"]
    check(a < b and height == other_height and signer == other_signer == entry["id"], "they do not exclude each other")
    check(entry["status"] == "active" and (not seals or entry["role"] == "authority"), "what it signed did not count")
    in_genesis = canonical(entry) in [canonical(leaf) for leaf in registry_leaves(genesis)]
    root = None
    if proof["header"] is None or proof["registry_proof"] is None:
        check(proof["header"] is proof["registry_proof"] is None and in_genesis, "not an entry of the genesis")
    else:
        header = proof["header"]["header"]
        check((header["chain_id"], header["height"]) == (chain_id, height - 1), "the header of another height")
        root = header["registry_root"]
        check_entry(entry, proof["registry_proof"], root)
    for one in (evidence["a"], evidence["b"]):
        if seals:
            check_seal(one, entry["public_key"])
        else:
            check_vote(one, chain_id, {"hash": one["header_hash"], "height": height}, entry)
    proven = height == 0 or (trusted_root is not None and root == trusted_root) or (trusted_root is None and in_genesis)
    check(proven, "the entry is under no registry that is trusted here")


# --- section 7: checkpoints, C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-witness -----------------------


def decode_base64(text):
    check(isinstance(text, str), "not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("not base64") from error
    check(base64.b64encode(data).decode() == text, "another spelling of base64")
    return data


KEY_NAME = re.compile(r"[^\s\u0085+]+")


def parse_note(data):
    """The text of a note and its signatures as (name, key id, signature)."""
    try:
        source = data.decode()
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    check(not any(ord(c) < 0x20 and c != "\n" for c in source), "a control character")
    text, blank, lines = source.rpartition("\n\n")
    check(blank and text and source.endswith("\n"), "no blank line before the signatures")
    signatures = []
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        check(len(parts) == 3 and parts[0] == "\u2014" and KEY_NAME.fullmatch(parts[1]), "no signature line")
        signature = decode_base64(parts[2])
        check(len(signature) >= 5, "too short for a signature")
        signatures.append((parts[1], signature[:4], signature[4:]))
    check(len(signatures) <= 100, "too many signatures")
    return {"text": text + "\n", "signatures": signatures}


def note_key_id(name, kind, hex_key):
    return sha256(f"{name}\n".encode() + bytes([kind]) + bytes.fromhex(hex_key))[:4]


def check_note(note, keys):
    """Names of the known keys that signed; keys are (name, type byte, hex key). One that fails refuses the note."""
    signers = []
    for name, key_id, signature in note["signatures"]:
        for key in keys:
            if key[0] != name or note_key_id(*key) != key_id:
                continue
            message = note["text"].encode()
            if key[1] == 0x04:
                check(len(signature) == 72 and signature[0] < 0x80, "no cosignature")
                seconds = int.from_bytes(signature[:8], "big")
                message, signature = f"cosignature/v1\ntime {seconds}\n".encode() + message, signature[8:]
            check(ed25519_verify(key[2], message, signature), f"the signature of {name} does not hold")
            if name not in signers:
                signers.append(name)
    return signers


def parse_checkpoint(text):
    lines = text[:-1].split("\n")
    check(len(lines) >= 3 and all(lines), "not three lines")
    check(re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1], re.ASCII) and int(lines[1]) <= MAX_SAFE, "no tree size")
    root = decode_base64(lines[2])
    check(len(root) == 32, "no root")
    return {"origin": lines[0], "size": int(lines[1]), "root": root.hex()}


def check_checkpoint(note, origin, log_key, witnesses=()):
    """The tree of a checkpoint, and which of the witnesses (name, hex key) cosigned it."""
    tree = parse_checkpoint(note["text"])
    check(tree["origin"] == origin, "another origin")
    check(check_note(note, [(origin, 0x01, log_key)]), "not signed by the log")
    return tree, check_note(note, [(name, 0x04, key) for name, key in witnesses])


def parse_add_checkpoint(body):
    head, blank, rest = body.partition("\n\n")
    lines = head.split("\n")
    check(blank and re.fullmatch(r"old (0|[1-9][0-9]{0,15})", lines[0], re.ASCII), "no old size")
    check(len(lines) <= 64, "too many proof lines")
    proof = [decode_base64(line) for line in lines[1:]]
    check(all(len(node) == 32 for node in proof), "a node of another length")
    note = parse_note(rest.encode())
    return int(lines[0][4:]), [node.hex() for node in proof], note, parse_checkpoint(note["text"])


def add_checkpoint_status(body, log):
    """What a witness answers; log is None or {keys, last: None or {size, root}}."""
    try:
        old, proof, note, tree = parse_add_checkpoint(body)
    except Refused:
        return 400
    if log is None:
        return 404
    try:
        if not check_note(note, [(tree["origin"], 0x01, key) for key in log["keys"]]):
            return 403
    except Refused:
        return 403
    if old > tree["size"]:
        return 400
    last = log["last"] or {"size": 0, "root": sha256_hex(b"")}
    if old != last["size"] or (tree["size"] == last["size"] and tree["root"] != last["root"]):
        return 409
    try:
        if old == 0:
            check(not proof, "a proof from nothing")
        else:
            check_consistency({"from": old, "to": tree["size"], "path": proof}, last["root"], tree["root"])
    except Refused:
        return 422
    return 200
