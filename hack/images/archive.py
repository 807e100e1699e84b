#!/usr/bin/env python3
"""An image as an archive that container engines load: an OCI layout (image-spec 1.1) which is a `docker save` archive too.

archive.py make --name HUB/NAME:TAG --entrypoint PROGRAM --out FOLDER LAYER...
    Writes FOLDER.tar of folders with files, one a layer, and unpacks it into FOLDER/root and FOLDER/config.json.

Nothing in it depends on who makes it or when: files are sorted, of root unless they are the proxy's user's, and of the year 1970.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import shutil
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EPOCH = "1970-01-01T00:00:00Z"
# Before Python 3.12 nothing else was to be had.
TRUSTED = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
# Owners that stay what they are: the user of proxies.
KEPT = 1337


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def said(value):
    """JSON, the same for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def entry(path, name):
    """What a tar says of a file, less what depends on the machine."""
    found = tarfile.TarFile.gettarinfo(tarfile.TarFile(fileobj=io.BytesIO(), mode="w"), path, name)
    found.uid, found.gid = (number if number == KEPT else 0 for number in (found.uid, found.gid))
    found.uname = found.gname = ""
    found.mtime = 0
    return found


def layer(folder):
    """A folder as a tar; hard links become files, since which one is the first depends on the machine."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            found = entry(path, str(path.relative_to(folder)))
            if found.islnk():
                found.type, found.linkname, found.size = tarfile.REGTYPE, "", path.stat().st_size
            if found.isreg():
                with path.open("rb") as file:
                    tar.addfile(found, file)
            else:
                tar.addfile(found)
    return content.getvalue()


def make(arguments):
    blobs, layers, diffs = {}, [], []
    for folder in arguments.layers:
        plain = layer(folder)
        packed = gzip.compress(plain, compresslevel=6, mtime=0)
        blobs[digest(packed)] = packed
        layers.append({"mediaType": LAYER, "digest": digest(packed), "size": len(packed)})
        diffs.append(digest(plain))
    run = {"Entrypoint": [arguments.entrypoint], "User": arguments.user, "WorkingDir": "/"}
    if arguments.env:
        run["Env"] = arguments.env
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": [{"created": EPOCH, "created_by": "meltemi"} for _ in diffs],
    }
    described = said(config)
    blobs[digest(described)] = described
    manifest = said({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(described), "size": len(described)},
        "layers": layers,
    })
    blobs[digest(manifest)] = manifest
    tag = arguments.name.rsplit(":", 1)[1]
    names = {"io.containerd.image.name": arguments.name, "org.opencontainers.image.ref.name": tag}
    index = {"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest), "annotations": names}
    where = lambda name: "blobs/sha256/" + name.removeprefix("sha256:")
    files = {
        "oci-layout": said({"imageLayoutVersion": "1.0.0"}),
        "index.json": said({"schemaVersion": 2, "mediaType": INDEX, "manifests": [index]}),
        # For engines that know `docker save` only.
        "manifest.json": said([{
            "Config": where(digest(described)),
            "RepoTags": [arguments.name],
            "Layers": [where(each["digest"]) for each in layers],
        }]),
    }
    files |= {where(name): content for name, content in blobs.items()}
    target = arguments.out.with_name(arguments.out.name + ".tar")
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            found = tarfile.TarInfo(name)
            found.size = len(files[name])
            tar.addfile(found, io.BytesIO(files[name]))
    unpack(target, arguments.out)
    print(f"{arguments.name} {digest(manifest)} {target} ({target.stat().st_size >> 20} MB)")


def unpack(archive, folder):
    """What is in an archive, as a container would see it."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        read = lambda name: tar.extractfile(name).read()
        image = json.loads(read("manifest.json"))[0]
        (folder / "config.json").write_bytes(read(image["Config"]))
        for name in image["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(read(name)), mode="r:gz") as content:
                # It is ours: absolute links and all.
                content.extractall(root, **TRUSTED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--name", required=True)
    making.add_argument("--entrypoint", required=True)
    making.add_argument("--user", default="0:0")
    making.add_argument("--env", action="append")
    making.add_argument("--out", required=True, type=pathlib.Path)
    making.add_argument("layers", nargs="+", type=pathlib.Path)
    making.set_defaults(run=make)
    arguments = parser.parse_args()
    arguments.run(arguments)


main()
