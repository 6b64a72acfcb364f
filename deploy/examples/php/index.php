<?php // The page, and the tokens for its chat. The sign-in is an example: put your site's own in its place.
const CHATFLOW = '3f1c2a9e-1111-4222-8333-444455556666';
$origin = getenv('ORIGIN') ?: 'http://127.0.0.1:8000';
$gate = getenv('GATE') ?: 'http://127.0.0.1:8080/chat';
session_start(['cookie_httponly' => true, 'cookie_secure' => true, 'cookie_samesite' => 'Lax']);
header('Cache-Control: no-store');
if ($_SERVER['REQUEST_METHOD'] === 'GET') {
    header("Content-Security-Policy: frame-ancestors 'none'");
    readfile(__DIR__ . '/../page.html');
} elseif ($_SERVER['REQUEST_URI'] === '/login' && getenv('PASSWORD') && hash_equals(getenv('PASSWORD'), $_POST['password'] ?? '')) {
    session_regenerate_id(true);
    $_SESSION['user'] = $_POST['user'];
    header('Location: /', true, 303);
} elseif ($_SERVER['REQUEST_URI'] !== '/chat-token' || !isset($_SESSION['user'])) {
    http_response_code(401);
} else {
    $minted = @file_get_contents("$gate/-/token", false, stream_context_create(['http' => [
        'method' => 'POST', 'timeout' => 5,
        'header' => ['Authorization: Bearer ' . trim(file_get_contents(getenv('KEY_FILE'))), 'Content-Type: application/json'],
        'content' => json_encode(['chatflow' => CHATFLOW, 'origin' => $origin, 'user' => $_SESSION['user'], 'ttl' => 600]),
    ]]));
    http_response_code($minted !== false ? 200 : (str_contains($http_response_header[0] ?? '', ' 429 ') ? 429 : 502));
    header('Content-Type: application/json');
    echo $minted;
}
