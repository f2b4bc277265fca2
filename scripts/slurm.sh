#!/bin/bash
#SBATCH --job-name=jsuper
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# A job array on one run folder: sbatch scripts/slurm.sh --preset activations --out /shared/run
# Two minutes before its time is up, or when it is preempted, a task finishes what it can and asks
# to be queued again; chunks that are done are never trained twice. If
# models failed (exit code 4), it is not queued again.
share="$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
root="${JSUPER_ROOT:-$SLURM_SUBMIT_DIR}" # a checkout of jsuper; sbatch copies this file elsewhere
python "$root/scripts/sweep.py" "$@" --shard "$share" --grace 90 &
task=$!
trap 'kill -USR1 $task' USR1 TERM # sent to this shell alone
while kill -0 $task 2>/dev/null; do wait $task; done # a signal ends a wait, not the task
wait $task
code=$?
if [ $code = 75 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
