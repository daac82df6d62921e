"""The memory of small graphs, worked out by hand. A tensor of the image is 40 floats: 160 bytes."""

import tensorflow as tf

from sensmap.maps import _memory

IMAGE = 160


def peak(function):
    signature = [tf.TensorSpec([None, 5, 8], tf.float32)]
    traced = tf.function(function, input_signature=signature, autograph=False)
    return _memory.peak(traced.get_concrete_function().graph)


def test_a_chain_holds_two_tensors_at_a_time():
    assert peak(lambda x: tf.exp(tf.exp(tf.exp(x)))) == 2 * IMAGE


def test_what_is_used_later_is_held():
    # x lives until the sum; beside it the input and the output of the operation under way.
    assert peak(lambda x: tf.exp(tf.exp(tf.exp(x))) + x) == 3 * IMAGE


def test_each_size_and_type_counts_as_it_is():
    # The input, and 40 float64: 320 bytes.
    assert peak(lambda x: tf.cast(x, tf.float64)) == IMAGE + 2 * IMAGE
    # The input, and the sum over 8: 5 floats.
    assert peak(lambda x: tf.reduce_sum(x, axis=2)) == IMAGE + 20


def test_another_name_for_a_tensor_is_no_other_tensor():
    assert peak(lambda x: tf.exp(tf.reshape(x, [-1, 40]))) == 2 * IMAGE
    # The reshaped input keeps the input alive.
    assert peak(lambda x: tf.reshape(x, [-1, 40]) + tf.reshape(tf.exp(x), [-1, 40])) == 3 * IMAGE


def test_weights_do_not_count():
    weights = tf.constant(tf.ones([8, 1000]))
    assert peak(lambda x: x @ weights) == IMAGE + 5 * 1000 * 4


def test_what_no_output_comes_from_is_not_run():
    def function(x):
        tf.exp(tf.exp(x) + x)
        return tf.exp(x)

    assert peak(function) == 2 * IMAGE


def test_the_forward_pass_is_held_for_the_backward_pass():
    # d/dx of sum exp(exp(exp(x))): all three outputs are wanted on the way back. At most: the
    # three, the derivative on its way and the next one; the input is free by then.
    def derivative(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.exp(tf.exp(tf.exp(x)))
        return tape.gradient(y, x)

    assert peak(derivative) == 5 * IMAGE
