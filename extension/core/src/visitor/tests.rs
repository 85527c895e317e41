//! User agents as they come, retyped: people first, because those are the ones that cost money.

use super::*;

const HUMANS: &[&str] = &[
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
     Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 \
     Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/20G75 \
     [FBAN/FBIOS;FBAV/430.0.0.31.113;FBBV/510;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/16.6;FBSS/3;FBLC/en_US]",
    "Mozilla/5.0 (Linux; Android 12; SM-A125F; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 \
     Chrome/120.0.6099.144 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/447.0.0.36.112;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21B74 \
     Instagram 309.0.0.28.111 (iPhone15,2; iOS 17_1; en_US; en; scale=3.00; 1179x2556; 536)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 \
     Safari Line/13.1.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     GSA/284.0.564099828 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; U; Android 4.0.3; en-us; GT-P5110) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 \
     Safari/534.30",
    "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/34.1244; U; en) Presto/2.8.119 Version/11.10",
    "Nokia6300/2.0 (05.00) Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "SAMSUNG-GT-E2232/1.0 Openwave/6.2.3 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3 (GUI) MMP/2.0",
    "Maui Browser",
    "Midori/0.2 (X11; Linux; U; fr-fr) WebKit/531.2+",
    "UCWEB/2.0 (MIDP-2.0; U; Adr 4.4.2; en-US; SM-G313) U2/1.0.0 UCBrowser/10.7 U2/1.0.0 Mobile",
    "BlackBerry8520/5.0.0.681 Profile/MIDP-2.1 Configuration/CLDC-1.1 VendorID/600",
    "Mozilla/5.0 (Linux; Android 10; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile \
     Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0 Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 11) AppleWebKit/534.24 (KHTML, like Gecko) Chrome/71 SogouMobileBrowser/5.9",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_2 like Mac OS X) AppleWebKit/526.3 (KHTML, like Gecko) Version/16.2 \
     Mobile/15E148 Snapchat/12.13.0.31 (like Safari/526.3, panda)",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/123.0 \
     Mobile Safari/537.36 Telegram-Android/10.9.1 (Google Pixel 8; Android 14; SDK 34; HIGH)",
    "Mozilla/5.0 (Linux; Android 11; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0 Mobile \
     Safari/537.36 musical_ly_2022803040 BytedanceWebview/d8a21c6",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Linux; Android 13; SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0 Mobile \
     DuckDuckGo/5 Safari/537.36",
];

const PREVIEWS_SEEN: &[&str] = &[
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 \
     Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0 A",
    "WhatsApp/2.12.15/i",
    "TelegramBot (like TwitterBot)",
    "Viber/13.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 7_0 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) BingPreview/1.0b",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/56.0.2924.87 Safari/537.36 \
     Google-PageRenderer Google (+https://developers.google.com/+/web/snippet/)",
    "Iframely/1.3.1 (+https://iframely.com/docs/about)",
    "Mozilla/5.0 (compatible; Embedly/0.2; +http://support.embed.ly/)",
    "Google-Safety",
];

const BOTS_SEEN: &[&str] = &[
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0 \
     Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    "Mozilla/5.0 (compatible; SeznamBot/4.0; +http://napoveda.seznam.cz/seznambot-intro/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 \
     Safari/537.36",
    "curl/8.5.0",
    "python-requests/2.31.0",
    "Go-http-client/1.1",
    "UptimeRobot/2.0",
    "msnbot",
    "ubot/1.0",
];

const SUSPECTS: &[&str] = &[
    "",
    " ",
    "-",
    "Mozilla/4.0",
    "Mozilla/5.0",
    "Mozilla/4.0 (compatible;)",
    "Dalvik/2.1.0 (Linux; U; Android 7.0; SM-G950F Build/NRD90M)",
    "MobileSafari/9537.53 CFNetwork/672.0.8 Darwin/14.0.0",
    "Ruby",
    "anthropic-ai",
    "é",
];

#[test]
fn people_are_human() {
    for user_agent in HUMANS {
        assert_eq!(classify("GET", None, Some(user_agent)), Visitor::Human, "{user_agent}");
        assert!(!is_preview(user_agent));
    }
}

#[test]
fn previews_are_told_from_crawlers() {
    for user_agent in PREVIEWS_SEEN {
        assert_eq!(classify("GET", None, Some(user_agent)), Visitor::Preview, "{user_agent}");
        assert!(is_preview(user_agent));
    }
}

#[test]
fn crawlers_are_bots() {
    for user_agent in BOTS_SEEN {
        assert_eq!(classify("GET", None, Some(user_agent)), Visitor::Bot, "{user_agent}");
    }
}

#[test]
fn what_no_browser_sends_is_suspect() {
    for user_agent in SUSPECTS {
        assert_eq!(classify("GET", None, Some(user_agent)), Visitor::Suspect, "{user_agent}");
    }
    assert_eq!(classify("GET", None, None), Visitor::Suspect);
}

#[test]
fn method_and_purpose_come_first() {
    assert_eq!(classify("HEAD", Some("prefetch"), Some(BOTS_SEEN[0])), Visitor::Head);
    assert_eq!(classify("POST", None, Some(HUMANS[0])), Visitor::Bot);
    assert_eq!(classify("get", None, Some(HUMANS[0])), Visitor::Bot);
    for purpose in ["prefetch", "Prefetch;prerender", "prefetch;anonymous-client-ip", "preview", "x, prefetch"] {
        assert_eq!(classify("GET", Some(purpose), Some(HUMANS[0])), Visitor::Prefetch, "{purpose}");
        assert_eq!(classify("GET", Some(purpose), Some(PREVIEWS_SEEN[0])), Visitor::Prefetch, "{purpose}");
    }
    for purpose in ["", "navigate", "fetch", "é"] {
        assert_eq!(classify("GET", Some(purpose), Some(HUMANS[0])), Visitor::Human, "{purpose}");
    }
}

#[test]
fn memory_changes_no_answer_and_stays_bounded() {
    for round in 0..10_000 {
        let user_agent =
            format!("Mozilla/5.0 (Linux; Android 10; K{round}) {}", if round % 3 == 0 { "xbot/1" } else { "" });
        assert_eq!(remembered(&user_agent), look_up(&user_agent));
        assert_eq!(remembered(&user_agent), look_up(&user_agent));
    }
    MEMORY.with_borrow(|memory| assert_eq!(memory.len(), REMEMBERED));
    let long = format!("{}{}", HUMANS[0], " x".repeat(40_000));
    assert_eq!(classify("GET", None, Some(&long)), Visitor::Human);
}

#[test]
fn every_removed_pattern_was_there() {
    let mut bots = Bots::default();
    let caught = ["NetSurf/2.0 (Linux)", "Mozilla/5.0 (X) CUBOT)", "Mozilla/5.0 (X) SogouMobileBrowser/5"];
    assert!(caught.iter().all(|user_agent| bots.is_bot(user_agent)));
    bots.remove(NOT_BOTS);
    assert!(!caught.iter().any(|user_agent| bots.is_bot(user_agent)));
}
