"""Writes the demo's input: python digits.py digits.csv

1797 handwritten digits (UCI, CC BY 4.0), a line each: 64 grey values 0..16, then the digit. The file comes inside
scikit-learn's wheel; pip fetches that one wheel, checks its hash, and nothing is installed. Always the wheel that the
hash belongs to, whatever Python runs here: the file is the same in all.
"""
import glob, gzip, os, subprocess, sys, tempfile, zipfile

requirements = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")
with tempfile.TemporaryDirectory() as folder:
    subprocess.check_call(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11",
         "--abi", "cp311", "--platform", "manylinux2014_x86_64", "--dest", folder, "-r", requirements])
    (wheel,) = glob.glob(os.path.join(folder, "*.whl"))
    data = zipfile.ZipFile(wheel).read("sklearn/datasets/data/digits.csv.gz")
with open(sys.argv[1], "wb") as out:
    out.write(gzip.decompress(data))
