"""Reads a safetensors file with nothing of pslib: prints its tensors as JSON, {name: [shape, values]}."""
import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()

header.pop("__metadata__")
covered = 0
tensors = {}
for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, end = tensor["data_offsets"]
    assert begin == covered, f"a gap before {name}"
    covered = end
    code, size = {"F32": ("f", 4), "F64": ("d", 8), "U32": ("I", 4)}[tensor["dtype"]]
    count = 1
    for each in tensor["shape"]:
        count *= each
    assert end - begin == count * size, name
    tensors[name] = [tensor["shape"], list(struct.unpack(f"<{count}{code}", data[begin:end]))]
assert covered == len(data), "bytes behind the last tensor"
json.dump(tensors, sys.stdout)
