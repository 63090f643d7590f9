#!/bin/sh
# Builds the Debian packages into dist/, from this tree, its node_modules and its Node. Nothing is installed.
set -eu
cd "$(dirname "$0")/.."

stop() { printf 'package: %s\n' "$*" >&2; exit 1; }

# Unpacked, as setup.sh does it for the tests, debhelper serves as well.
parts=$PWD/.parts/root
unchecked=''
if ! command -v dh > /dev/null && [ -x "$parts/usr/bin/dh" ]; then
  export PATH="$PATH:$parts/usr/bin" PERL5LIB="$parts/usr/share/perl5" DH_DATAFILES="$parts/usr/share/debhelper"
  unchecked=--no-check-builddeps
fi
for tool in dpkg-buildpackage dh make strip; do
  command -v "$tool" > /dev/null || stop "$tool is missing. Run:" \
    'sudo apt-get install --no-install-recommends debhelper dpkg-dev make binutils'
done

sh scripts/setup.sh npm
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
tree=$build/tree
mkdir -p "$tree/lib/bin" "$tree/lib/node_modules" dist

cp -R src openapi.yaml package.json packaging/ask-chef-client.ts packaging/run-chef-client "$tree/lib/"
cp node_modules/node/bin/node "$tree/lib/bin/node"
# What is installed for production, without what only people, other platforms and compilers read.
npm ls --omit=dev --all --parseable 2> /dev/null | sed "s|^$PWD/node_modules/||; /^\//d; /typescript/d" > "$build/modules"
[ -s "$build/modules" ] || stop 'npm ls named no production package: run npm ci'
tar -C node_modules -cf "$build/modules.tar" --exclude='.*' --exclude='*.map' --exclude='*.ts' --exclude='*.[cm]ts' \
  --exclude='*.md' --exclude='*.musl.node' --exclude=test --exclude=tests --exclude=docs --exclude='*.sh' --exclude=pino/index.html --files-from="$build/modules"
tar -C "$tree/lib/node_modules" -xf "$build/modules.tar"
# Programs of their own among them, which nothing here calls, would look for a Node of the system's.
grep -rlIZ '^#!' --include='*.js' --include='*.mjs' --include='*.cjs' "$tree/lib/node_modules" | xargs -0 -r rm
find "$tree/lib/node_modules" -type f -exec chmod 0644 {} +
sed -i '1{/^#!/d}' "$tree/lib/src/cli/main.ts"
chmod 0644 "$tree/lib/src/cli/main.ts"

mkdir "$tree/completions"
"$tree/lib/bin/node" "$tree/lib/src/cli/main.ts" completion > "$tree/completions/chef-deregistration-manager"

cp -R host iam docs monitoring README.md packaging/chef-deregistration-manager "$tree/"
cp -R packaging/debian "$tree/debian"
for page in packaging/*.8; do cp "$page" "$tree/debian/"; done
cp host/chef-registration.service "$tree/debian/chef-registration-init.chef-registration.service"
cp host/chef-registration.init "$tree/debian/chef-registration-init.chef-registration.init"

version=${PACKAGE_VERSION:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
when=$(git log -1 --format=%ct 2> /dev/null || date +%s)
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$when}"
cat > "$tree/debian/changelog" <<END
chef-deregistration-manager ($version) unstable; urgency=medium

  * Version $version. See the changelog.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -uR -d "@$SOURCE_DATE_EPOCH")
END

# shellcheck disable=SC2086
(cd "$tree" && dpkg-buildpackage --build=binary --no-sign --no-pre-clean $unchecked) > "$build/log" 2>&1 || {
  tail -n 40 "$build/log" >&2
  stop 'dpkg-buildpackage failed'
}
for deb in "$build"/*.deb; do
  mv "$deb" dist/
  echo "dist/${deb##*/}"
done
