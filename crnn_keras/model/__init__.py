"""The reader itself: convolutions, BiLSTM, CTC, decoding, calibration."""
