"""What other kits would have scored: their rules for reading answers, written anew from what they do, over our records."""
