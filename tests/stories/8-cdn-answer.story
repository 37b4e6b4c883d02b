A route to a CDN is answered with a CNAME, whatever the type asked for.

also live
network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 0s   agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
        ask www.shop.example A from 192.0.2.7
        CNAME edge-one.example.
        ask www.shop.example AAAA from 192.0.2.7
        CNAME edge-one.example.
        ask www.shop.example HTTPS from 192.0.2.7
        CNAME edge-one.example.
        ask www.shop.example TXT from 192.0.2.7
        CNAME edge-one.example.
