"""The radial power spectrum: upsampling and synthesis change how power falls with frequency."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import measured, not_applicable

BAND = 0.1, 0.9  # of the Nyquist frequency, in which the slope is fitted
HIGH = 0.5  # from here on a frequency counts as high
SCALE = Scale(0, 12, "", "log10 of power, zero frequency in the centre")


class Spectrum(Measurement):
    """Slope of log power over log frequency, and the share of power in high frequencies.

    Radial mean over the centre square under a Hann window, averaged over the frames.
    """

    name: ClassVar[str] = "spectrum"

    def measure(self, clip: Clip) -> Reading:
        """Measure every frame."""
        powers = [_power(grey) for grey in clip.grey]
        frequency, radial = _radial(np.mean(powers, axis=0))
        if not radial.any():
            return not_applicable("every picture is of one colour", {})
        inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
        slope = np.polyfit(np.log10(frequency[inside]), np.log10(radial[inside] + 1e-9), 1)[0]
        weight = radial * frequency  # a ring holds as many samples as its radius
        values = {"slope": slope, "high_share": weight[frequency > HIGH].sum() / weight.sum()}
        view = heat_sheet([np.log10(power + 1) for power in powers], SCALE)
        return measured(clip, "Radial power spectrum (0.1 to 0.9 of Nyquist)", values, view)


def _power(grey: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return the power of the centre square, [side, side], zero frequency in the centre."""
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side].astype(np.float64)
    window = np.hanning(side)
    windowed = (square - square.mean()) * window[:, None] * window
    return np.asarray(np.abs(np.fft.fftshift(np.fft.fft2(windowed))) ** 2)


def _radial(power: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return frequencies as shares of Nyquist, zero left out, and the mean power at each."""
    side = power.shape[0]
    y, x = np.indices(power.shape) - side // 2
    radius = np.rint(np.hypot(y, x)).astype(int).ravel()
    mean = np.bincount(radius, power.ravel()) / np.bincount(radius)
    radii = np.arange(1, side // 2)
    return radii / (side / 2), mean[radii]
