"""Words about tuning, directories, settings, sound and camera."""

from collections.abc import Mapping

from assistant.core.doctor.wording import Words, failure, ok, unseen, warning

TUNE = "assistant doctor --commands prints the command, and its undo"
TUNE_ZH = "assistant doctor --commands 会给出命令和撤销命令"

MACHINE: Mapping[str, Words] = {
    "clock.ok": ok("{kind}: {governor}", "{kind}：{governor}"),
    "clock.unseen": unseen("{kind}: this kernel shows no governor", "{kind}：内核没有显示调频策略"),
    "clock.loose": warning(
        "{kind}: {governor}; the clock is not fixed, so answers take now longer, now shorter",
        "{kind}：{governor}，频率不固定，回答时快时慢",
        TUNE,
        TUNE_ZH,
    ),
    "clock.capped": warning(
        "{kind}: held at {limit}, it could {top}", "{kind}：限制在 {limit}，最高可到 {top}", TUNE, TUNE_ZH
    ),
    "swap.ok": ok("vm.swappiness {have}", "vm.swappiness {have}"),
    "swap.none": ok("no swap", "没有交换空间"),
    "swap.eager": warning(
        "vm.swappiness {have}: models that wait are swapped out, {wanted} keeps them in memory",
        "vm.swappiness {have}：闲置的模型会被换出，{wanted} 可让它们留在内存",
        TUNE,
        TUNE_ZH,
    ),
    "swap.unseen": unseen("vm.swappiness cannot be read", "读不到 vm.swappiness"),
    "dirty.ok": ok("dirty ratios {background} / {foreground} %", "脏页比例 {background} / {foreground} %"),
    "dirty.late": warning(
        "dirty ratios {background} / {foreground} %: a big file being written stops all else; {wanted} is short",
        "脏页比例 {background} / {foreground} %：写大文件会让一切停顿；{wanted} 更短",
        TUNE,
        TUNE_ZH,
    ),
    "dirty.unseen": unseen("the dirty ratios cannot be read", "读不到脏页比例"),
    "files.ok": ok("{have} open files are allowed", "允许打开 {have} 个文件"),
    "files.few": warning(
        "only {have} open files are allowed; RKLLM needs up to {wanted}",
        "只允许打开 {have} 个文件；RKLLM 可能需要 {wanted}",
        "ulimit -n {wanted}; for a service: LimitNOFILE={wanted}",
        "ulimit -n {wanted}；服务用 LimitNOFILE={wanted}",
    ),
    "files.unseen": unseen("the limit of open files cannot be read", "读不到打开文件数的限制"),
    "settings.ok": ok("in order", "正确"),
    "settings.profile": ok("{profile} is in order", "{profile} 正确"),
    "settings.wrong": failure("{said}", "{said}", "correct the settings", "改正设置"),
    "folder.ok": ok("{path}", "{path}"),
    "folder.open": failure(
        "{path} may be entered by others (mode {mode})",
        "{path} 别人也能进入（权限 {mode}）",
        "chmod 700 {path}",
        "chmod 700 {path}",
    ),
    "folder.foreign": failure(
        "{path} belongs to another user",
        "{path} 属于别的用户",
        "run as that user, or set {variable} to a directory of your own",
        "以那个用户运行，或把 {variable} 设为自己的目录",
    ),
    "folder.closed": failure(
        "{path} cannot be written",
        "{path} 不可写",
        "set {variable} to a directory of your own",
        "把 {variable} 设为自己的目录",
    ),
    "folder.unseen": unseen("only on the machine itself", "只能在机器本身上检查"),
    "door.none": unseen("the settings do not start it", "设置没有启动它"),
    "door.here": ok("{host} port {port}: this machine alone reaches it", "{host} 端口 {port}：只有本机可以访问"),
    "door.wide": ok(
        "{host} port {port}: other machines reach it over HTTPS, with a token",
        "{host} 端口 {port}：其他机器可凭令牌通过 HTTPS 访问",
    ),
    "door.plain": warning(
        "{host} port {port}: other machines reach it without TLS; who listens on the network reads the token",
        "{host} 端口 {port}：其他机器不经 TLS 访问；网络上的监听者能读到令牌",
        'gateway.tls = "auto"',
        'gateway.tls = "auto"',
    ),
    "door.token": failure("{why}", "{why}", "assistant gateway token", "assistant gateway token"),
    "door.unseen": unseen(
        "{host} port {port}: its token is a credential that only the service is handed",
        "{host} 端口 {port}：令牌是只交给该服务的凭据",
    ),
    "opened.ok": ok("{name} works", "{name} 正常"),
    "opened.closed": failure(
        "{name}: {problem}",
        "{name}：{problem}",
        "assistant devices lists what there is; assistant devices --test tries it",
        "assistant devices 列出设备；assistant devices --test 逐个测试",
    ),
    "opened.doubtful": warning(
        "{name}: {problem}",
        "{name}：{problem}",
        "assistant devices --test tries it again",
        "assistant devices --test 可再试一次",
    ),
    "opened.unused": unseen("the settings use none", "设置没有用到"),
    "opened.settings": unseen("the settings do not say which", "设置有误，不知道用哪个"),
    "opened.recorded": unseen("only on the machine itself", "只能在机器本身上检查"),
    "opened.running": unseen(
        "the assistant runs and holds it", "助手正在运行并占用它", "stop it and ask again", "停止后再试"
    ),
    "opened.declined": unseen("not opened, as asked (--no-devices)", "按要求没有打开（--no-devices）"),
}
