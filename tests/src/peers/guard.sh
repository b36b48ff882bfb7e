# sh -c GUARD sh PROGRAM ARGUMENT...: runs a program, and ends it when our standard input ends, which it does when whoever
# started us is gone in any way, killed ones included. Ends when the program ends, with its status.
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
echo "pid $program"
{
    while read -r line <&3; do :; done
    kill -KILL "$program"
} >/dev/null 2>&1 &
watcher=$!
exec 3<&- </dev/null
wait "$program"
status=$?
kill -KILL "$watcher" 2>/dev/null
exit "$status"
