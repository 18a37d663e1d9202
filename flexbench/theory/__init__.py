"""What theory says of residuals, measured: variance of the target, noise of the gradients."""
