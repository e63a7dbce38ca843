#!/usr/bin/env bash
# Installs the Debian packages that the tests need, where they are missing and where it may; says what to do elsewhere.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need gcc gcc
need ffmpeg ffmpeg
need redis-server redis-server
need nginx nginx
need cvlc vlc
need curl curl
[[ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ]] || missing+=(libnginx-mod-rtmp)
[[ -e /usr/include/vo-aacenc/voAAC.h ]] || missing+=(libvo-aacenc-dev)

((${#missing[@]})) || exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "The tests need these Debian packages or their like: ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Without a service manager the servers' packages would try to start them on the ports that the tests want to choose.
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
