A site without objectives goes to its origin, whatever is measured.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one

at 0s   agent-1 measures origin failed x3
        shop in carrier-a: origin, unknown (no agreement)
at 1s   site shop: origin, then edge-one
          response_time under 150ms, p95 over 20s, 3 samples of 1 probe
        shop in carrier-a: origin, unknown (cold start)
at 2s   agent-1 measures origin failed x3
        shop in carrier-a: cdn edge-one, at-or-above, failed
