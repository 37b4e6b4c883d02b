Available bandwidth is at-or-above when it has fallen to the agreed level.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  available_bandwidth above 20Mbit/s, p75 over 60s, 3 samples of 1 probe

# The best bandwidth is the greatest.
at 0s   agent-1 measures origin 20.1Mbit/s x3
        shop in carrier-a: origin, below, 20.1Mbit/s
at 1s   agent-1 measures origin 20Mbit/s
        shop in carrier-a: unchanged
at 2s   agent-1 measures origin 20Mbit/s
        shop in carrier-a: cdn edge-one, at-or-above, 20Mbit/s
