With no usable CDN and an origin that answers nobody, the CDNs count as usable.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 100ms, p50 over 20s, 1 sample of 1 probe

at 0s   agent-1 measures origin failed
        edge-one reports unhealthy
        shop in carrier-a: cdn edge-one, at-or-above, failed
# One success is enough.
at 1s   agent-1 measures origin 200ms
        shop in carrier-a: origin, at-or-above (no usable cdn), 200ms
