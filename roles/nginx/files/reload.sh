# Reload nginx and see it through. A reload is only a signal: a configuration that passes nginx -t and still cannot be
# applied (a port in use, say) leaves the old workers serving, and a line in the error log is the only sign of it.
set -eu
log=/var/log/nginx/error.log

if ! systemctl --quiet is-active nginx; then
  exec systemctl restart nginx
fi
master=$(systemctl show --property MainPID --value nginx)
workers() { pgrep --parent "$master" --full "nginx: worker process$" | sort; }

before=$(workers)
logged=$(stat --format %s "$log" 2>/dev/null || echo 0)
systemctl reload nginx
for _ in $(seq 80); do
  if [ -n "$(comm -13 <(echo "$before") <(workers))" ]; then
    exit 0
  fi
  sleep 0.1
done
echo "nginx still runs with the configuration of before; its error log says:" >&2
tail --bytes "+$((logged + 1))" "$log" | grep -F '[emerg]' | tail --lines 3 >&2
exit 1
