"""An average of the weights over the last steps, which is often better than the last weights.

Each step moves the weights a little too far in a random direction; the mean over many steps moves
less. Source: Polyak and Juditsky 1992; ``torch.optim.swa_utils``, which does the work.
"""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def start_ema(model, decay):
    """A copy of the model whose weights follow as an exponential moving average (EMA).

    decay: share of the old average that each update keeps, 0 to below 1. 0.99 looks back about a
        hundred updates. 0 is off.

    What batch norms have counted is averaged too: with the means and variances of the latest
    weights the average would compute something that no training has seen.

    Returns an AveragedModel, whose ``module`` is the averaged model, or None when off.
    """
    if decay == 0:
        return None
    average = get_ema_multi_avg_fn(decay)

    def update(averaged, latest, _):
        if averaged[0].is_floating_point():
            average(averaged, latest, _)
        else:  # an index, or a number of batches, is no quantity to average
            for old, new in zip(averaged, latest, strict=True):
                old.copy_(new)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def update_ema(ema, model, warming_up):
    """Takes the model's new weights into the average, if there is one (None: does nothing).

    warming_up: while the learning rate climbs, the average is a plain copy. The first weights are
        random and would else stay in it for a long time. Source: torchvision's training reference.
    """
    if ema is None:
        return
    if warming_up:
        ema.n_averaged.zero_()  # an AveragedModel that has seen nothing copies
    ema.update_parameters(model)
