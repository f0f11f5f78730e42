"""Checks a checkpoint from standard input: python3 checkpoint.py ORIGIN LOG_KEY [NAME=KEY ...]; prints size, root, cosigners."""

import sys

import solar_protocol as protocol


def main(origin, log_key, *witnesses):
    pairs = [tuple(text.rsplit("=", 1)) for text in witnesses]
    note = protocol.parse_note(sys.stdin.buffer.read())
    tree, cosigners = protocol.check_checkpoint(note, origin, log_key, pairs)
    print(tree["size"], tree["root"], *cosigners)


main(*sys.argv[1:])
